"""The order of samples: a permutation per epoch, the same from any start for any sharing."""

from itertools import chain

from hypothesis import given
from hypothesis import strategies as st

from segscape.training.sample_order import BatchOrder, SampleOrder


@given(length=st.integers(1, 40), seed=st.integers(0, 2**32), epoch=st.integers(0, 5))
def test_each_epoch_meets_each_image_once(length, seed, epoch):
    order = SampleOrder(length, seed=seed)
    places = [order.at(epoch * length + place) for place in range(length)]
    assert {found for found, _ in places} == {epoch}
    assert sorted(index for _, index in places) == list(range(length))


def test_epochs_and_seeds_differ():
    def epoch(seed: int, number: int) -> list[int]:
        order = SampleOrder(50, seed=seed)
        return [order.at(number * 50 + place)[1] for place in range(50)]

    assert len({tuple(epoch(seed, number)) for seed in (0, 1) for number in (0, 1, 2)}) == 6


@given(
    length=st.integers(1, 20),
    share=st.integers(1, 4),
    processes=st.integers(1, 4),
    first=st.integers(0, 6),
)
def test_processes_cut_the_batches_of_one(length, share, processes, first):
    order, size = SampleOrder(length, seed=7), share * processes
    alone = list(BatchOrder(order, batch_size=size, first=0, last=8))
    shared = [
        BatchOrder(
            order,
            batch_size=size,
            first=first,
            last=8,
            process=process,
            processes=processes,
        )
        for process in range(processes)
    ]
    joined = [list(chain(*parts)) for parts in zip(*shared, strict=True)]
    assert joined == alone[first:]
    assert all(len(batch) == size for batch in alone)
    assert list(chain(*alone)) == [order.at(position) for position in range(8 * size)]

"""Random streams are functions of seed, epoch and sample."""

from itertools import product

from segscape.transforms import generator_for


def test_every_seed_epoch_and_index_has_its_own_stream() -> None:
    draws = {
        tuple(generator_for(*numbers).integers(2**62, size=2).tolist())
        for numbers in product((0, 1, 2**63), (0, 1, 7), (0, 1, 2**40))
    }
    assert len(draws) == 27


def test_streams_do_not_run_into_each_other() -> None:
    first = set(generator_for(0, 0, 0).integers(2**62, size=20_000).tolist())
    second = set(generator_for(0, 0, 1).integers(2**62, size=20_000).tolist())
    assert not first & second

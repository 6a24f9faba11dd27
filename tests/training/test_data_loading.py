"""Batches do not depend on workers, processes or where the loader begins."""

import pytest
import torch

from segscape.datasets.cached import CachedDataset
from segscape.datasets.synthetic import SyntheticSemantic
from segscape.structures import RecipeError, Size, TrainingError
from segscape.training import data_loading
from segscape.training.data_loading import TrainingLoader, cached
from segscape.training.sample_order import BatchOrder, SampleOrder
from segscape.transforms import BorderWeights, ColorJitter, Elastic, HorizontalFlip, RandomScale

SCENES = SyntheticSemantic(5, size=Size(40, 48))
# Sizes differ from sample to sample: batches are padded.
TRANSFORMS = (
    RandomScale(scale=(0.7, 1.3)),
    HorizontalFlip(),
    ColorJitter(0.3, 0.3, 0.3),
    Elastic(),
)


def _batches(
    workers: int,
    first: int = 0,
    last: int = 4,
    process: int = 0,
    processes: int = 1,
    transforms=TRANSFORMS,
):
    order = BatchOrder(
        SampleOrder(len(SCENES), seed=3),
        batch_size=4,
        first=first,
        last=last,
        process=process,
        processes=processes,
    )
    loader = TrainingLoader(SCENES, transforms, order, seed=3, workers=workers)
    try:
        return [loader.next() for _ in range(first, last)]
    finally:
        loader.close()


def _same(one, two) -> bool:
    return (
        one.keys == two.keys
        and one.sizes == two.sizes
        and torch.equal(one.pixels, two.pixels)
        and torch.equal(one.labels, two.labels)
    )


def test_any_number_of_workers_gives_the_same_batches():
    none, two = _batches(0), _batches(2)
    assert all(_same(one, other) for one, other in zip(none, two, strict=True))
    assert not torch.equal(none[0].pixels, none[1].pixels)


def test_a_loader_begins_anywhere():
    assert _same(_batches(0)[3], _batches(0, first=3)[0])


def test_processes_share_each_batch():
    whole = _batches(0)[1]
    halves = [_batches(0, process=process, processes=2)[1] for process in (0, 1)]
    assert sum((half.keys for half in halves), ()) == whole.keys
    height, width = whole.pixels.shape[2:]
    padded = [half.padded(height, width) for half in halves]
    assert torch.equal(torch.cat([half.pixels for half in padded]), whole.pixels)
    assert torch.equal(torch.cat([half.labels for half in padded]), whole.labels)


def test_the_threads_of_the_main_process_do_not_matter():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = _batches(0, last=1)[0]
        torch.set_num_threads(2)
        assert _same(one, _batches(0, last=1)[0])
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


class _Dying(SyntheticSemantic):
    def __getitem__(self, index):
        import os

        os._exit(3)


def test_a_dead_worker_is_named_with_a_cure():
    dying = _Dying(5, size=Size(40, 48))
    order = BatchOrder(SampleOrder(5, seed=0), batch_size=2, first=0, last=2)
    loader = TrainingLoader(dying, (), order, seed=0, workers=1)
    with pytest.raises(TrainingError, match=r"worker died.*training\.workers") as caught:
        loader.next()
    assert "\n" not in str(caught.value)
    loader.close()


def test_a_transform_that_does_not_suit_the_images_is_named_by_its_key_path():
    wrong = (*TRANSFORMS, BorderWeights(foreground=200))
    with pytest.raises(RecipeError, match=r"^transforms\.4\.foreground: .* foreground is 200"):
        _batches(0, transforms=wrong)


def test_the_clock_counts_images_and_waiting():
    order = BatchOrder(SampleOrder(5, seed=0), batch_size=2, first=0, last=2)
    loader = TrainingLoader(SCENES, TRANSFORMS, order, seed=0, workers=0)
    loader.next()
    found = loader.waiting()
    assert 0.5 < found["data_wait"] <= 1
    assert found["images_per_second"] > 0
    loader.start_clock()
    assert loader.waiting()["images_per_second"] == 0


def test_small_sets_are_kept_in_memory_and_large_ones_are_not(monkeypatch):
    kept = cached(SCENES, wanted=None)
    assert isinstance(kept, CachedDataset)
    assert kept[2] is kept[2]
    assert torch.equal(kept[2].image, SCENES[2].image)
    monkeypatch.setattr(data_loading, "DEFAULT_BYTES", 4 * 40 * 48 * 4)
    assert cached(SCENES, wanted=None) is SCENES
    assert cached(SCENES, wanted=False) is SCENES
    assert isinstance(cached(SCENES, wanted=True), CachedDataset)

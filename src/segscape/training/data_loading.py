"""Samples for the training step: the same ones for any number of workers and processes.

The loader holds no state: batch number n is a pure function of (seed, n), so training starts at any
step, and every sample draws its random numbers from its own (seed, epoch, index).
"""

import signal
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import Any, cast

import numpy as np
import torch
from torch.utils.data import DataLoader

from segscape.datasets.cached import DEFAULT_BYTES, CachedDataset
from segscape.datasets.dataset import Dataset
from segscape.ops.processor import one_thread
from segscape.structures import LabelMap, Sample, SegscapeError, TrainingError
from segscape.training.entries import under
from segscape.training.sample_order import BatchOrder
from segscape.training.training_batch import TrainingBatch
from segscape.transforms.transform import Transform, generator_for

# Red, green, blue and label.
_PIXEL_BYTES = 4
_READERS = 4
_PREFETCH = 3
# A forked worker shares the decoded images and sees that the process it serves was killed; from
# Python 3.14 on another method is the default, whose workers copy the one and miss the other.
_START_METHOD = "fork" if sys.platform == "linux" else None


class TransformedSamples(torch.utils.data.Dataset[Sample[LabelMap] | SegscapeError]):
    """(epoch, index) -> a transformed sample, or the error of its file.

    An error is handed on as a value: torch would wrap what a worker raises in a traceback.

    Args:
        dataset: the images.
        transforms: applied in order.
        seed: with epoch and index names each sample's random numbers.
    """

    def __init__(
        self, dataset: Dataset[LabelMap], transforms: Sequence[Transform], *, seed: int
    ) -> None:
        self.dataset = dataset
        self.transforms = tuple(transforms)
        self.seed = seed

    def __getitem__(self, place: tuple[int, int]) -> Sample[LabelMap] | SegscapeError:
        epoch, index = place
        try:
            # Workers have one thread, so without workers there must be one too: sums in another
            # order are other sums, and results would depend on the number of workers.
            with one_thread():
                return self._transformed(
                    self.dataset[index], generator_for(self.seed, epoch, index)
                )
        except SegscapeError as error:
            return error

    def _transformed(
        self, sample: Sample[LabelMap], generator: np.random.Generator
    ) -> Sample[LabelMap]:
        for place, transform in enumerate(self.transforms):
            try:
                sample = transform(sample, generator)
            except SegscapeError as error:
                raise under(f"transforms.{place}", tuple(vars(transform)), error) from error
        return sample


class TrainingLoader:
    """Batches for one process, and how long the step waited for them.

    Args:
        dataset: the images.
        transforms: applied in order.
        order: which samples form which batch.
        seed: of the transforms.
        workers: processes that read and transform; 0 does it between the steps.
        pin_memory: True when a GPU will fetch the batches.
    """

    def __init__(
        self,
        dataset: Dataset[LabelMap],
        transforms: Sequence[Transform],
        order: BatchOrder,
        *,
        seed: int,
        workers: int,
        pin_memory: bool = False,
    ) -> None:
        self.workers = workers
        self._processes = order.batch_size // order.share
        loader = DataLoader(
            TransformedSamples(dataset, transforms, seed=seed),
            batch_sampler=cast("Any", order),
            num_workers=workers,
            collate_fn=_collate,
            pin_memory=pin_memory,
            worker_init_fn=_ignore_signals,
            multiprocessing_context=_START_METHOD if workers else None,
            prefetch_factor=_PREFETCH if workers else None,
            # Torch draws a seed for its workers: not from the stream that dropout uses.
            generator=torch.Generator(),
        )
        self._batches: Iterator[Any] = iter(loader)
        self.start_clock()

    def start_clock(self) -> None:
        """Measure from now on."""
        self._began, self._waited, self._images = perf_counter(), 0.0, 0

    def waiting(self) -> dict[str, float]:
        """Since the clock was started: share of the time spent in `next`, and images per second."""
        seconds = perf_counter() - self._began
        return {"data_wait": self._waited / seconds, "images_per_second": self._images / seconds}

    def close(self) -> None:
        """End the workers; no batch can be taken any more."""
        # Torch ends them when the iterator is no longer referred to.
        self._batches = iter(())

    def next(self) -> TrainingBatch:
        """The next batch.

        Raises:
            SegscapeError: of the file that could not be read.
            TrainingError: when a worker died.
        """
        began = perf_counter()
        try:
            batch: TrainingBatch | SegscapeError = next(self._batches)
        except RuntimeError as error:
            if "DataLoader worker" not in str(error):
                raise
            reason = str(error).splitlines()[0]
            raise TrainingError(
                f"a loader worker died ({reason}): most often memory ran out: set "
                f"training.workers below {self.workers} or data.cache=false"
            ) from error
        self._waited += perf_counter() - began
        if isinstance(batch, SegscapeError):
            raise batch
        self._images += len(batch.keys) * self._processes
        return batch


def _collate(samples: list[Sample[LabelMap] | SegscapeError]) -> TrainingBatch | SegscapeError:
    good: list[Sample[LabelMap]] = []
    for sample in samples:
        if isinstance(sample, SegscapeError):
            return sample
        good.append(sample)
    return TrainingBatch.stack(good)


def _ignore_signals(_: int) -> None:
    """Signals may reach the whole group: only the main process may answer, after its step.

    A second SIGTERM ends the worker: it is how a process that leaves clears away its children.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: signal.signal(signal.SIGTERM, signal.SIG_DFL))


def cached(dataset: Dataset[LabelMap], *, wanted: bool | None) -> Dataset[LabelMap]:
    """Decode a data set into memory once, before workers are forked, so that all share it.

    Args:
        dataset: the images.
        wanted: None decides by size: 2 GiB or less are kept.

    Raises:
        SegscapeError: of the first file that cannot be read.
    """
    if wanted is False or (wanted is None and not _is_small(dataset)):
        return dataset
    kept = CachedDataset(dataset, byte_budget=sys.maxsize)
    with ThreadPoolExecutor(_READERS) as readers:
        for _ in readers.map(kept.__getitem__, range(len(kept))):
            pass
    return kept


def _is_small(dataset: Dataset[LabelMap]) -> bool:
    total = 0
    for index in range(len(dataset)):
        height, width = dataset.size(index)
        total += _PIXEL_BYTES * height * width
        if total > DEFAULT_BYTES:
            return False
    return True

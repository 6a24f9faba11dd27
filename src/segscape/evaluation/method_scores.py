"""Judge a method without training on images that several people parted into regions.

A setting is one choice of a method's options; several of them, as from a sweep over a scale, are a
family, scored at its best setting (ODS) and at the best for each image (OIS). Images are shared out
to processes; what comes back is keyed by image, so that the scores depend neither on their number
nor on the order.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from time import perf_counter
from typing import Any

from segscape.classical import METHODS
from segscape.classical.results import regions_of
from segscape.datasets.bsds500 import BerkeleyDataset
from segscape.metrics.partition import (
    FamilyScores,
    PartitionAgreement,
    PartitionScores,
    best_over_settings,
)
from segscape.metrics.superpixels import SuperpixelQuality, SuperpixelScores
from segscape.structures import MethodError, SegscapeError

# A process costs seconds to start.
_IMAGES_PER_PROCESS = 4


@dataclass(frozen=True)
class SettingScores:
    """What one setting reaches.

    Args:
        options: of the setting, beside the method's defaults.
        agreement: regions and boundaries against all annotators.
        superpixels: with the worst annotator of each image.
        seconds: per image, the median over images, on one thread where processes share the images.
    """

    options: dict[str, object]
    agreement: PartitionScores
    superpixels: SuperpixelScores
    seconds: float


@dataclass(frozen=True)
class MethodScores:
    """What a method reaches on a data set.

    Args:
        method: its name in `METHODS`.
        images: how many were segmented.
        settings: the scores by the settings' names, as "scale=300".
        family: over all settings.
    """

    method: str
    images: int
    settings: dict[str, SettingScores]
    family: FamilyScores

    def to_json(self) -> dict[str, Any]:
        """All numbers."""
        return asdict(self)


@dataclass
class _Counted:
    """What was counted of one setting."""

    agreement: PartitionAgreement
    superpixels: SuperpixelQuality
    seconds: list[float]

    @classmethod
    def nothing(cls) -> "_Counted":
        return cls(PartitionAgreement(), SuperpixelQuality(), [])

    def merge(self, other: "_Counted") -> None:
        self.agreement.merge(other.agreement)
        self.superpixels.merge(other.superpixels)
        self.seconds += other.seconds


def score_method(
    method: str,
    dataset: BerkeleyDataset,
    settings: Mapping[str, Mapping[str, object]],
    *,
    limit: int | None = None,
    processes: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> MethodScores:
    """Segment all images with all settings and score them.

    Args:
        method: its name in `METHODS`.
        dataset: the images with their truths.
        settings: options of each setting by its name.
        limit: only so many of the first images.
        processes: how many share the images; as many as this process may use processors, and no
            more than a quarter of the images, if None.
        progress: is told how many images are done, and of how many.

    Raises:
        SegscapeError: when an image cannot be read or the method refuses it.
        MethodError: when a process dies, as for want of memory.
    """
    images = range(min(len(dataset), limit or len(dataset)))
    counted = {name: _Counted.nothing() for name in settings}
    number = processes or min(_processors(), max(1, len(images) // _IMAGES_PER_PROCESS))
    done = 0

    def take(found: dict[str, _Counted]) -> None:
        nonlocal done
        for name, part in found.items():
            counted[name].merge(part)
        done += 1
        progress(done, len(images))

    if number == 1:
        for index in images:
            take(_score_image(method, dataset, index, settings))
    else:
        # Not forked: threads of torch and numba do not survive that.
        with ProcessPoolExecutor(number, get_context("spawn"), _use_one_thread) as pool:
            futures = [
                pool.submit(_score_image, method, dataset, index, settings) for index in images
            ]
            try:
                for future in as_completed(futures):
                    take(future.result())
            except BrokenProcessPool:
                raise MethodError(
                    f"{method}: a process was killed, likely for want of memory: give a smaller "
                    "--processes"
                ) from None
            except BaseException:
                _cancel(futures)
                raise
    return MethodScores(
        method=method,
        images=len(images),
        settings={
            name: SettingScores(
                options=dict(settings[name]),
                agreement=part.agreement.compute(),
                superpixels=part.superpixels.compute(),
                seconds=_median(part.seconds),
            )
            for name, part in counted.items()
        },
        family=best_over_settings({name: part.agreement for name, part in counted.items()}),
    )


def _score_image(
    method: str,
    dataset: BerkeleyDataset,
    index: int,
    settings: Mapping[str, Mapping[str, object]],
) -> dict[str, _Counted]:
    item = dataset[index]
    function = METHODS[method].load()
    counted: dict[str, _Counted] = {}
    for name, options in settings.items():
        part = counted[name] = _Counted.nothing()
        began = perf_counter()
        try:
            partition = regions_of(function(item.image, **options))
        except SegscapeError as error:
            raise MethodError(f"image '{item.key}', {name}: {error}") from error
        part.seconds.append(perf_counter() - began)
        part.agreement.update(partition, item.truths, item.key)
        part.superpixels.update(partition, item.truths, item.image, item.key)
    return counted


def _use_one_thread() -> None:
    import numba
    import torch

    torch.set_num_threads(1)
    numba.set_num_threads(1)


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cancel(futures: Sequence[Future[Any]]) -> None:
    for future in futures:
        future.cancel()


def _median(seconds: Sequence[float]) -> float:
    # Of two the lesser: kernels may have been compiled for the first.
    return sorted(seconds)[(len(seconds) - 1) // 2]

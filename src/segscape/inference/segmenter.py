"""A trained network as one callable: image in, label map out."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Integer, UInt8
from torch import Tensor

from segscape.inference.blending import BlendingWindow, hann
from segscape.inference.ensemble import Ensemble
from segscape.inference.flips import ScoreBatch, average_views, refuse_scales
from segscape.inference.mirror import ImageReader
from segscape.inference.precision import Precision, resolve_precision
from segscape.inference.preparation import STRIDE, fingerprint, prepare, prepared, resolve_device
from segscape.inference.proposals import Proposals, score_by_proposals
from segscape.inference.refinement import Refiner
from segscape.inference.run_folder import model_folder
from segscape.inference.tiling import Score, tiled, tiled_labels
from segscape.models.model_files import load_model
from segscape.models.semantic_model import SemanticModel
from segscape.structures import (
    CheckpointError,
    ImageBatch,
    InstanceSet,
    LabelMap,
    PanopticMap,
    Partition,
    SegscapeError,
    Size,
    StructureError,
    Taxonomy,
)

# Up to here an image is scored whole unless a tile is given: 2,048 x 2,048 pixels.
WHOLE = 2048 * 2048
DEFAULT_TILE = Size(1024, 1024)


@runtime_checkable
class Segment(Protocol):
    """What the command line, the web page and export know: an image in, regions out."""

    def __call__(
        self, image: UInt8[Tensor, "channel height width"], /
    ) -> Partition | LabelMap | InstanceSet | PanopticMap:
        """Segment one image of 0..255."""
        ...


class Segmenter:
    """A semantic network with all that prediction needs: tiles, flips, turns, scales, precision.

    The model is copied, put into evaluation mode, its batch normalisations folded into its
    convolutions where that is exact, and its memory laid out channels last; the given one may go
    on learning.

    Args:
        model: a semantic network.
        tile: the largest window in pixels that is scored at once. None scores images of up to 4
            megapixels whole and larger ones in windows of 1,024 x 1,024.
        overlap: pixels that neighbouring windows share; None for an eighth of the tile.
        flips: whether to average with the left-right mirror image: twice the time.
        turns: whether to average with the image turned by 90, 180 and 270 degrees, for images that
            have no up: four times the time.
        scales: factors of the image's size over which to average: each costs its square.
        proposals: score each image through object proposals, not as a whole; then it cannot be
            cut into tiles, and has at most 4 megapixels.
        ensemble: other networks of the same categories whose scores are joined with this one's,
            each after its own flips and scales.
        refiner: applied to the scores of the image, or of each window.
        precision: "fp32", "bf16", or "auto" for bf16 where it is measured to be faster.
        device: "cpu", "cuda", "cuda:1" ..., or "auto" for a GPU where there is one.
        window: the blending weights of windows.
        keep: leave the given model as it is; without, it is changed for prediction itself, which
            takes half the memory.

    Raises:
        StructureError: when an option cannot be used.
    """

    def __init__(
        self,
        model: SemanticModel,
        *,
        tile: Size | None = None,
        overlap: int | None = None,
        flips: bool = False,
        turns: bool = False,
        scales: Sequence[float] = (1.0,),
        proposals: Proposals | None = None,
        ensemble: Ensemble | None = None,
        refiner: Refiner | None = None,
        precision: Precision = "auto",
        device: str | torch.device = "auto",
        window: BlendingWindow = hann,
        keep: bool = True,
    ) -> None:
        refuse_scales(scales)
        self.device = resolve_device(device)
        self.precision = resolve_precision(precision, self.device)
        self.tile = tile
        self.overlap = min(tile or DEFAULT_TILE) // 8 if overlap is None else overlap
        self.flips = flips
        self.turns = turns
        self.scales = tuple(scales)
        self.proposals = proposals
        self.ensemble = ensemble
        self.refiner = refiner
        self.window = window
        self.fingerprint = fingerprint(model)
        if ensemble is not None:
            ensemble.refuse_other_categories(model.taxonomy)
        self._refuse_tile()
        ready = prepared if keep else prepare
        self._model = ready(model, self.device, self.precision)

    @classmethod
    def load(
        cls,
        folder: str | Path,
        *,
        tile: Size | None = None,
        overlap: int | None = None,
        flips: bool = False,
        turns: bool = False,
        scales: Sequence[float] = (1.0,),
        proposals: Proposals | None = None,
        ensemble: Ensemble | None = None,
        refiner: Refiner | None = None,
        precision: Precision = "auto",
        device: str | torch.device = "auto",
        window: BlendingWindow = hann,
    ) -> "Segmenter":
        """Load from a run folder, which holds `model/`, or from such a model folder.

        Raises:
            CheckpointError: when there is no model, it is damaged, or it is not a semantic one.
            StructureError: when an option cannot be used.
        """
        model = load_model(model_folder(folder))
        if not isinstance(model, SemanticModel):
            raise CheckpointError(
                f"{folder}: holds a {type(model).__name__}, expected a semantic network"
            )
        return cls(
            model,
            tile=tile,
            overlap=overlap,
            flips=flips,
            turns=turns,
            scales=scales,
            proposals=proposals,
            ensemble=ensemble,
            refiner=refiner,
            precision=precision,
            device=device,
            window=window,
            keep=False,
        )

    @property
    def taxonomy(self) -> Taxonomy:
        """What the labels mean."""
        return self._model.taxonomy

    @property
    def parameters(self) -> int:
        """How many numbers training has set, in all networks that are joined."""
        own = sum(parameter.numel() for parameter in self._model.parameters())
        others = () if self.ensemble is None else self.ensemble.others.values()
        return own + sum(one.parameters for one in others)

    @property
    def whole_only(self) -> bool:
        """Whether images cannot be cut into tiles: an object may reach over several."""
        others = () if self.ensemble is None else self.ensemble.others.values()
        return self.proposals is not None or any(one.whole_only for one in others)

    @property
    def options(self) -> dict[str, object]:
        """All that the labels depend on besides model and image, as plain values."""
        options: dict[str, object] = {
            "tile": None if self.tile is None else list(self.tile),
            "overlap": self.overlap,
            "window": getattr(self.window, "__name__", type(self.window).__name__),
            "flips": self.flips,
            "turns": self.turns,
            "scales": list(self.scales),
            "refiner": None if self.refiner is None else repr(self.refiner),
            "precision": self.precision,
        }
        # Only where they are used: results made before they were known go on.
        if self.proposals is not None:
            options["proposals"] = self.proposals.options
        if self.ensemble is not None:
            options["ensemble"] = self.ensemble.options
        return options

    def __call__(self, image: UInt8[Tensor, "channel height width"]) -> LabelMap:
        """Label one image of 0..255.

        Raises:
            SegscapeError: when a window does not fit into memory.
        """
        return self.batch([image])[0]

    def batch(self, images: Sequence[UInt8[Tensor, "channel _ _"]]) -> list[LabelMap]:
        """Label several images; those of one size are scored together.

        Images of different sizes are not padded to one: the result of an image does not depend on
        its company.

        Raises:
            SegscapeError: when the batch or a window does not fit into memory.
        """
        results: list[LabelMap | None] = [None] * len(images)
        groups: dict[torch.Size, list[int]] = {}
        for index, image in enumerate(images):
            if self.is_whole(Size(*image.shape[1:])):
                groups.setdefault(image.shape, []).append(index)
            else:
                labels = torch.cat([band for _, band in self.bands(image)])
                results[index] = LabelMap(labels, self.taxonomy)
        for indices in groups.values():
            scores = self._rank(torch.stack([images[index] for index in indices]))
            for index, one in zip(indices, scores, strict=True):
                label_map = LabelMap.from_scores(one, self.taxonomy)
                results[index] = LabelMap(label_map.labels.cpu(), self.taxonomy)
        return [result for result in results if result is not None]

    def scores(
        self, image: UInt8[Tensor, "channel height width"]
    ) -> Float[Tensor, "category height width"]:
        """Softmax probabilities in [0, 1] of one image of 0..255, in fp32, on the CPU.

        Raises:
            SegscapeError: when the scores do not fit into memory, or an image too large for
                proposals is given.
        """
        return self._scored(self._score, image)

    def raw_scores(
        self, image: UInt8[Tensor, "channel height width"]
    ) -> Float[Tensor, "category height width"]:
        """This network's scores before the softmax, neither joined nor refined, on the CPU.

        Raises:
            SegscapeError: as of `scores`.
        """
        return self._scored(self._raw_score, image)

    def _scored(
        self, score: Score, image: UInt8[Tensor, "channel height width"]
    ) -> Float[Tensor, "category height width"]:
        if self.is_whole(Size(*image.shape[1:])):
            return score(image).cpu()
        self._refuse_windows(Size(*image.shape[1:]))
        return tiled(
            score,
            image,
            tile=self.tile or DEFAULT_TILE,
            overlap=self.overlap,
            window=self.window,
            align=STRIDE,
        ).cpu()

    def bands(
        self, image: ImageReader | UInt8[Tensor, "channel height width"]
    ) -> Iterator[tuple[int, Integer[Tensor, "band width"]]]:
        """Label an image of any size in memory bounded by the tile: first row and labels of bands.

        Raises:
            SegscapeError: when a window does not fit into memory, or an image too large for
                proposals is given.
        """
        size = Size(*image.shape[1:]) if isinstance(image, Tensor) else image.size
        self._refuse_windows(size)
        return tiled_labels(
            self._score,
            image,
            tile=self.tile or DEFAULT_TILE,
            overlap=self.overlap,
            window=self.window,
            align=STRIDE,
        )

    def is_whole(self, size: Size) -> bool:
        """Whether an image of this size is scored at once, not in windows."""
        if self.tile is None:
            return size.height * size.width <= WHOLE
        return size.height <= self.tile.height and size.width <= self.tile.width

    def _score(
        self, image: UInt8[Tensor, "channel height width"]
    ) -> Float[Tensor, "category height width"]:
        if self.ensemble is None or self.ensemble.rule == "mean":
            scores = self._average(self._probabilities, image[None])[0]
        else:
            scores = self._raw_score(image)
        if self.ensemble is not None:
            scores = self.ensemble.join(scores, image)
        return scores if self.refiner is None else self.refiner(image, scores)

    def _raw_score(
        self, image: UInt8[Tensor, "channel height width"]
    ) -> Float[Tensor, "category height width"]:
        return self._average(self._raw, image[None])[0]

    def _rank(
        self, images: UInt8[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch category height width"]:
        """Maps whose highest category is the label: logits are enough where nothing is averaged."""
        if self.refiner is not None or self.ensemble is not None:
            return torch.stack([self._score(image) for image in images])
        if self.flips or self.turns or self.scales != (1.0,):
            return self._average(self._probabilities, images)
        return self._raw(images)

    def _average(
        self, score: ScoreBatch, images: UInt8[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch category height width"]:
        return average_views(score, images, flips=self.flips, turns=self.turns, scales=self.scales)

    def _probabilities(
        self, images: UInt8[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch category height width"]:
        return self._raw(images).softmax(1)

    def _raw(
        self, images: UInt8[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch category height width"]:
        if self.proposals is None:
            return self._logits(images)
        scored = [score_by_proposals(self._logits, image, self.proposals) for image in images]
        return torch.stack(scored)

    def _logits(
        self, images: UInt8[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch category height width"]:
        size = Size(*images.shape[2:])
        try:
            with (
                torch.inference_mode(),
                torch.autocast(
                    self.device.type, dtype=torch.bfloat16, enabled=self.precision == "bf16"
                ),
            ):
                pixels = images.to(self.device, non_blocking=True).float().div_(255)
                pixels = pixels.contiguous(memory_format=torch.channels_last)
                outputs = self._model(ImageBatch(pixels, (size,) * len(images)))
        except (RuntimeError, MemoryError) as error:
            if _is_out_of_memory(error):
                cure = (
                    "give a smaller --tile, as 512" if not self.whole_only else "try --device cpu"
                )
                raise SegscapeError(
                    f"{len(images)} x {size.height} x {size.width} pixels at once need more memory "
                    f"than there is: {cure}"
                ) from error
            raise
        # A copy made outside inference mode is an ordinary tensor, which callers may change.
        return outputs.logits.to(torch.float32, copy=True)

    def _refuse_tile(self) -> None:
        tile = self.tile or DEFAULT_TILE
        if min(tile) < 1 or not 0 <= 2 * self.overlap <= min(tile):
            raise StructureError(
                f"tile {tile.height} x {tile.width} with overlap {self.overlap}: give a tile of at "
                "least 1 x 1 pixels and an overlap between 0 and half its shorter side"
            )
        if self.tile is not None and self.whole_only:
            raise StructureError(
                f"tile {tile.height} x {tile.width} with proposals: proposals are found in whole "
                "images: leave out the tile, or the proposals with --proposals 0"
            )

    def _refuse_windows(self, size: Size) -> None:
        if self.whole_only:
            raise StructureError(
                f"an image of {size.height} x {size.width} is too large for proposals, which are "
                "found in whole images of up to 4 megapixels: shrink it, or use --proposals 0"
            )


def _is_out_of_memory(error: RuntimeError | MemoryError) -> bool:
    known = ("DefaultCPUAllocator", "out of memory", "can't allocate memory")
    return isinstance(error, MemoryError) or any(words in str(error) for words in known)

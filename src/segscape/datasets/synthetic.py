"""Drawn scenes as a data set: nothing to download, every pixel known, any number of them.

One generator, `draw_scene`, serves four views of the same scenes: categories, objects, segments and
parts of things. Scenes are pure functions of (seed, split, index), so a data set needs no files,
two processes agree, and training and validation never share a scene.
"""

import torch

from segscape.datasets.scenes.draw import (
    SMALLEST_SIDE,
    STREAMS,
    SyntheticScene,
)
from segscape.datasets.scenes.draw import draw_scene as draw_scene
from segscape.datasets.scenes.meanings import PART_TAXONOMY as PART_TAXONOMY
from segscape.datasets.scenes.meanings import SCENE_TAXONOMY as SCENE_TAXONOMY
from segscape.structures import (
    DatasetError,
    InstanceSet,
    LabelMap,
    PanopticMap,
    Sample,
    Size,
    Taxonomy,
)

DEFAULT_SIZE = Size(128, 160)


class SyntheticScenes:
    """What the four views share: how many scenes, of which size, seed and split.

    Args:
        count: number of scenes, 1 or more.
        size: height and width in pixels, at least 32 each.
        seed: names a family of scenes.
        split: "train", "val" or "test"; they share no scene.

    Raises:
        DatasetError: when an argument is outside its range.
    """

    def __init__(
        self, count: int, *, size: Size = DEFAULT_SIZE, seed: int = 0, split: str = "train"
    ) -> None:
        if count < 1:
            raise DatasetError(f"synthetic scenes: count is {count}, give 1 or more")
        if min(size) < SMALLEST_SIDE:
            raise DatasetError(
                f"synthetic scenes of {size[0]} x {size[1]} are too small to show anything: "
                f"give at least {SMALLEST_SIDE} x {SMALLEST_SIDE} pixels"
            )
        if split not in STREAMS:
            raise DatasetError(
                f"synthetic scenes have no split '{split}': choose one of {', '.join(STREAMS)}"
            )
        self._size, self._seed, self._split = Size(*size), seed, split
        self._keys = tuple(f"{split}-{index:05d}" for index in range(count))

    @property
    def taxonomy(self) -> Taxonomy:
        """What the ids of the targets mean."""
        return SCENE_TAXONOMY

    @property
    def keys(self) -> tuple[str, ...]:
        """Split and number of each scene."""
        return self._keys

    def __len__(self) -> int:
        return len(self._keys)

    def size(self, index: int) -> Size:
        """The size all scenes have; raises IndexError beyond the last."""
        range(len(self))[index]
        return self._size

    def scene(self, index: int) -> SyntheticScene:
        """Draw one scene with all that is known about it; raises IndexError beyond the last."""
        place = range(len(self))[index]
        return draw_scene(self._seed, place, self._size, split=self._split)


class SyntheticSemantic(SyntheticScenes):
    """The category of each pixel."""

    def __getitem__(self, index: int) -> Sample[LabelMap]:
        scene = self.scene(index)
        labels = LabelMap(torch.from_numpy(scene.categories), SCENE_TAXONOMY)
        return Sample(torch.from_numpy(scene.image), labels, self.keys[index])


class SyntheticParts(SyntheticScenes):
    """The part at each pixel, or the category where a thing or stuff has no parts."""

    @property
    def taxonomy(self) -> Taxonomy:
        """The categories followed by the parts, each naming its whole."""
        return PART_TAXONOMY

    def __getitem__(self, index: int) -> Sample[LabelMap]:
        scene = self.scene(index)
        labels = LabelMap(torch.from_numpy(scene.parts), PART_TAXONOMY)
        return Sample(torch.from_numpy(scene.image), labels, self.keys[index])


class SyntheticInstance(SyntheticScenes):
    """The visible part of each thing."""

    def __getitem__(self, index: int) -> Sample[InstanceSet]:
        scene = self.scene(index)
        return Sample(torch.from_numpy(scene.image), _objects(scene), self.keys[index])


class SyntheticPanoptic(SyntheticScenes):
    """A segment for each thing and each kind of stuff; no pixel is void."""

    def __getitem__(self, index: int) -> Sample[PanopticMap]:
        scene = self.scene(index)
        labels = LabelMap(torch.from_numpy(scene.categories), SCENE_TAXONOMY)
        target = PanopticMap.from_label_map(labels, _objects(scene))
        return Sample(torch.from_numpy(scene.image), target, self.keys[index])


def _objects(scene: SyntheticScene) -> InstanceSet:
    instances = torch.from_numpy(scene.instances)
    numbers = torch.arange(1, len(scene.instance_categories) + 1, dtype=torch.int32)
    return InstanceSet.from_masks(
        instances[None] == numbers[:, None, None],
        torch.tensor(scene.instance_categories, dtype=torch.int64),
        SCENE_TAXONOMY,
    )

"""The worst and the best images of a stream, kept small."""

from bisect import insort

from jaxtyping import UInt8
from torch import Tensor

from segscape.evaluation.evaluation import Example
from segscape.metrics.scores import ImageScores
from segscape.structures import LabelMap
from segscape.visualize.figures import smaller, smaller_labels

# Pictures are kept at this size until the end, so memory does not depend on the images' size.
LONGEST_SIDE = 480


class Extremes:
    """Keep the images of the lowest and of the highest mean IoU; ties go by key.

    Args:
        count: how many of each, 0 or more.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._seen = 0
        self._worst: list[tuple[float, str, Example]] = []
        self._best: list[tuple[float, str, Example]] = []

    def add(
        self,
        key: str,
        scores: ImageScores,
        image: UInt8[Tensor, "channel height width"],
        prediction: LabelMap,
        target: LabelMap,
    ) -> None:
        """Look at one image; those that are wholly void are passed over."""
        if scores.judged_pixels == 0:
            return
        self._seen += 1
        wanted = [
            (kept, rank)
            for kept, rank in ((self._worst, scores.miou), (self._best, -scores.miou))
            if len(kept) < self.count or (kept and (rank, key) < kept[-1][:2])
        ]
        if not wanted:
            return
        example = Example(
            key,
            scores,
            smaller(image, LONGEST_SIDE).cpu().clone(),
            smaller_labels(prediction, LONGEST_SIDE),
            smaller_labels(target, LONGEST_SIDE),
        )
        for kept, rank in wanted:
            insort(kept, (rank, key, example), key=lambda entry: entry[:2])
            del kept[self.count :]

    def worst(self) -> tuple[Example, ...]:
        """Worst first; at most half of the images, so that the best are others."""
        return tuple(example for _, _, example in self._worst[: (self._seen + 1) // 2])

    def best(self) -> tuple[Example, ...]:
        """Best first; none of the worst."""
        taken = {example.key for example in self.worst()}
        return tuple(example for _, _, example in self._best if example.key not in taken)

"""Windows of an image, put together by their maximum."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from segscape.inference.proposals import Proposals, score_by_proposals
from segscape.structures import StructureError


class Brightness:
    """Scores that are known: of the second category the value, of the third a half less it."""

    def __init__(self) -> None:
        self.sizes: list[tuple[int, ...]] = []

    def __call__(self, images: Tensor, /) -> Tensor:
        self.sizes.append(tuple(images.shape))
        values = images.float() / 255
        return torch.cat([-values, values, 0.5 - values], 1)


def at(boxes: Sequence[Sequence[float]], **options):
    return Proposals(find=lambda image: torch.tensor(boxes).reshape(-1, 4), **options)


def test_the_highest_score_of_all_proposals_stands():
    """Equation 1, on boxes of the network's own size, so that nothing is resized."""
    image = torch.randint(0, 256, (1, 20, 30), dtype=torch.uint8)
    boxes = [[2.0, 1, 10, 9], [6, 5, 14, 13], [-3, 10, 5, 18]]
    proposals = at(boxes, shortest_side_px=8, enlarged=1.0, side_px=8)
    scores = score_by_proposals(Brightness(), image, proposals, batch_size=2)
    values = image[0].float() / 255
    expected = torch.zeros(3, 20, 30)
    for left, top, right, bottom in torch.tensor(boxes).int().tolist():
        window = (slice(top, bottom), slice(max(left, 0), right))
        for category, score in enumerate((-values, values, 0.5 - values)):
            seen = expected[category][window]
            expected[category][window] = seen.maximum(score[window])
    torch.testing.assert_close(scores, expected)


def test_boxes_are_enlarged_and_small_ones_left_out_before_the_best_are_taken():
    network = Brightness()
    image = torch.full((1, 60, 80), 255, dtype=torch.uint8)
    boxes = [
        [0.0, 0, 5, 50],  # 6 x 60 when enlarged: too narrow
        [10, 10, 30, 40],  # 8, 7 to 32, 43
        [40, 20, 60, 40],  # 38, 18 to 62, 42
        [0, 0, 80, 60],  # a third large one is not asked for
    ]
    proposals = at(boxes, count=2, shortest_side_px=24, side_px=16)
    scores = score_by_proposals(network, image, proposals)
    assert network.sizes == [(2, 1, 16, 16)]
    expected = torch.zeros(60, 80)
    expected[7:43, 8:32] = 1
    expected[18:42, 38:62] = 1
    torch.testing.assert_close(scores[1], expected)
    # Where no proposal is, all scores are 0 and the first category is taken.
    assert not scores[:, :7].any()


def test_beyond_the_image_all_is_black():
    image = torch.full((1, 20, 20), 255, dtype=torch.uint8)
    boxes = [[10.0, 0, 30, 20], [100, 100, 120, 120]]
    proposals = at(boxes, enlarged=1.0, shortest_side_px=20, side_px=20)
    scores = score_by_proposals(Brightness(), image, proposals)
    assert not scores[1, :, :10].any()
    assert bool((scores[1, :, 10:] == 1).all())


@pytest.mark.parametrize("boxes", [[], [[2.0, 2, 9, 9]]])
def test_without_a_proposal_the_image_is_scored_as_a_whole(boxes):
    network = Brightness()
    image = torch.full((1, 20, 30), 255, dtype=torch.uint8)
    scores = score_by_proposals(network, image, at(boxes))
    assert network.sizes == [(1, 1, 224, 224)]
    torch.testing.assert_close(scores[1], torch.ones(20, 30))


def test_numbers_that_cannot_be():
    image = torch.zeros(1, 20, 20, dtype=torch.uint8)
    with pytest.raises(StructureError, match="no area"):
        score_by_proposals(Brightness(), image, at([[5.0, 5, 5, 9]]))
    with pytest.raises(StructureError, match="proposals: count is 0, expected 1 or more"):
        Proposals(0)
    for enlarged in (0.5, float("nan")):
        with pytest.raises(StructureError, match="proposals: enlarged is"):
            Proposals(enlarged=enlarged)


def test_an_image_is_segmented_by_its_own_regions():
    image = torch.zeros(1, 160, 200, dtype=torch.uint8)
    image[:, 20:150, 30:170] = 200
    found = score_by_proposals(Brightness(), image).argmax(0)
    bright = torch.zeros(160, 200, dtype=torch.bool)
    bright[20:150, 30:170] = True
    assert bool((found[bright] == 1).float().mean() > 0.97)
    assert bool((found[~bright] == 1).float().mean() < 0.03)

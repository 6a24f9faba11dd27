import torch

from segscape.inference.areas import ClassAreas, sum_areas
from segscape.structures import Size, Taxonomy

TAXONOMY = Taxonomy.from_names(["sky", "ground", "water"])


def test_pixels_and_shares_of_the_image():
    areas = ClassAreas(TAXONOMY)
    areas.add(torch.tensor([[0, 0, 1], [255, 0, 1]], dtype=torch.uint8))
    areas.add(torch.tensor([[1, 1]], dtype=torch.int32))
    found = areas.describe("a.png", Size(2, 4))
    assert found["image"] == "a.png"
    assert found["classes"] == [
        {"name": "sky", "pixels": 3, "share": 0.375},
        {"name": "ground", "pixels": 4, "share": 0.5},
        {"name": "water", "pixels": 0, "share": 0.0},
    ]
    total = sum_areas([found, found], TAXONOMY)
    assert (total["images"], total["pixels"]) == (2, 16)
    assert total["classes"] == [
        {"name": "sky", "pixels": 6, "share": 0.375},
        {"name": "ground", "pixels": 8, "share": 0.5},
        {"name": "water", "pixels": 0, "share": 0.0},
    ]
    assert sum_areas([], TAXONOMY)["images"] == 0

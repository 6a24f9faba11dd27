"""Make the picture of docs/gallery/receptive_field.md: `python docs/gallery/receptive_field.py`."""

from pathlib import Path

import torch
from torch import nn

from segscape.datasets.synthetic import SyntheticSemantic
from segscape.io.image_files import write_image
from segscape.models import build_model
from segscape.models.receptive_field import logits_of, model_receptive_field
from segscape.models.semantic_model import SemanticModel
from segscape.ops.receptive_field import effective_receptive_field, effective_size
from segscape.ops.resize import resize_image
from segscape.structures import Taxonomy
from segscape.visualize.figures import stacked
from segscape.visualize.overlay import side_by_side
from segscape.visualize.receptive_field import draw_receptive_field

HERE = Path(__file__).parent
SIZE = (168, 208)
# Fewer channels than published where that changes no field, only the time.
NETWORKS: dict[str, dict[str, object]] = {
    "sliding_window": {},
    "unet_2015": {"channels": 16},
    "fcn8s": {"hidden_channels": 256},
    "unet": {"encoder": "resnet34"},
}


def network(name: str) -> SemanticModel:
    """A network with random weights; scores that begin at zero are made random, too."""
    torch.manual_seed(0)
    taxonomy = Taxonomy.from_names(["one", "other"])
    model = build_model(name, taxonomy, NETWORKS[name])
    if not isinstance(model, SemanticModel):
        raise TypeError(f"'{name}' gives no logits")
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.BatchNorm2d) and not module.weight.any():
            nn.init.normal_(module.weight, std=0.1)
    return model.eval()


def main() -> None:
    """Draw both fields of each network over one scene."""
    image = resize_image(SyntheticSemantic(8, split="val")[3].image, SIZE)
    pixels = image[None].float() / 255
    grey = (image.float().mean(0, keepdim=True) / 2 + 127).to(torch.uint8).expand(3, -1, -1)
    pictures: list[torch.Tensor] = []
    captions: list[str] = []
    for name in NETWORKS:
        model = network(name)
        field = model_receptive_field(model)
        strength = effective_receptive_field(logits_of(model), pixels)
        size = None if field is None else field.size
        pictures.append(draw_receptive_field(grey, strength, size=size))
        captions.append(f"{name}: {size}, {effective_size(strength):.0f}")
    rows = [
        side_by_side(pictures[start : start + 2], captions=captions[start : start + 2])
        for start in range(0, len(pictures), 2)
    ]
    write_image(HERE / "receptive_field.png", stacked(rows))


if __name__ == "__main__":
    main()

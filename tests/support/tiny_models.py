"""Small networks for tests of what is built around networks."""

import torch
from torch import nn

from segscape.models.outputs import SemanticOutputs
from segscape.models.semantic_model import SemanticModel
from segscape.structures import Taxonomy

TAXONOMY = Taxonomy.from_names(["sky", "ground", "water", "house"])


class TinyModel(SemanticModel):
    """Two 3 x 3 convolutions with batch normalisation: each output sees 2 pixels each way.

    Weights and statistics are random but not trained, so every category occurs.
    """

    def __init__(self, *, seed: int = 0, taxonomy: Taxonomy = TAXONOMY) -> None:
        super().__init__(taxonomy)
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(8)
        self.conv2 = nn.Conv2d(8, len(taxonomy), 3, padding=1)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for tensor in (self.conv1.weight, self.conv2.weight, self.norm1.weight):
                tensor.copy_(torch.randn(tensor.shape, generator=generator) / 4)
            for tensor in (self.conv2.bias, self.norm1.bias):
                if tensor is not None:
                    tensor.zero_()
            for statistic in (self.norm1.running_mean, self.norm1.running_var):
                if statistic is not None:
                    statistic.copy_(torch.rand(statistic.shape, generator=generator) + 0.5)

    def score(self, pixels):
        return SemanticOutputs(self.conv2(torch.relu(self.norm1(self.conv1(pixels)))))

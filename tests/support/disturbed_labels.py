"""A truth of blobs and a prediction that is nearly right."""

import torch

from segscape.structures import Taxonomy

TAXONOMY = Taxonomy.from_names(["sky", "road", "car"])


def image(seed, size=(14, 17), categories=3, grain=3):
    """Blobs, a prediction that is the truth moved and disturbed, some void."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randint(
        categories, (size[0] // grain + 2, size[1] // grain + 2), generator=generator
    )
    truth = coarse.repeat_interleave(grain, 0).repeat_interleave(grain, 1)
    called = truth[1 : size[0] + 1, : size[1]].clone()
    truth = truth[: size[0], : size[1]].clone()
    noise = torch.rand(size, generator=generator) < 0.05
    called[noise] = torch.randint(categories, (int(noise.sum()),), generator=generator)
    truth[torch.rand(size, generator=generator) < 0.03] = 255
    return called, truth

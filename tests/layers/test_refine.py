from typing import Any

import torch
import torch.nn.functional as F

from segscape.layers.refine import ChainedResidualPooling


def pool(x: torch.Tensor) -> torch.Tensor:
    return F.max_pool2d(x, 5, 1, 2)


def test_the_papers_chain_pools_first():
    torch.manual_seed(0)
    chain: Any = ChainedResidualPooling(3, links=2)
    x = torch.randn(2, 3, 9, 7)
    start = x.relu()
    first = F.conv2d(pool(start), chain.convs[0].weight, padding=1)
    second = F.conv2d(pool(first), chain.convs[1].weight, padding=1)
    torch.testing.assert_close(chain(x), start + first + second)


def test_the_released_chain_convolves_first():
    torch.manual_seed(0)
    chain: Any = ChainedResidualPooling(3, links=2, pool_first=False)
    x = torch.randn(2, 3, 9, 7)
    start = x.relu()
    first = pool(F.conv2d(start, chain.convs[0].weight, padding=1))
    second = pool(F.conv2d(first, chain.convs[1].weight, padding=1))
    torch.testing.assert_close(chain(x), start + first + second)


def test_the_input_is_left_alone_and_kernels_may_be_single():
    chain: Any = ChainedResidualPooling(2, links=4, kernel_size=1)
    x = -torch.ones(1, 2, 3, 3)
    assert chain(x).eq(0).all()
    assert x.eq(-1).all()
    assert [tuple(conv.weight.shape) for conv in chain.convs] == [(2, 2, 1, 1)] * 4

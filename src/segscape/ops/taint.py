"""Run a network to see only which of its values depend on which.

A value that is not a number makes everything computed from it not a number. Under `Taint` the
layers that cost most pass just that on. What they multiply with does not matter, so weights may lie
on the device "meta", where they have shapes only; and what is the same in all channels is kept
once, as an expanded tensor, so that a network of 134 million weights runs in a moment.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map_only

Pair = int | Sequence[int]


class Taint(TorchFunctionMode):
    """While active, what is not a number is passed on exactly; numbers mean nothing.

    >>> layer = torch.nn.Conv2d(1, 1, (1, 3), device="meta")
    >>> with Taint():
    ...     out = layer(torch.tensor([[[[0.0, torch.nan, 0.0, 0.0, 0.0]]]]))
    >>> out.isnan().tolist()
    [[[[True, True, False]]]]
    """

    def __torch_function__(
        self,
        func: Any,  # noqa: ANN401 - as torch declares it
        types: Any,  # noqa: ANN401
        args: Any = (),  # noqa: ANN401
        kwargs: Any = None,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        """Run a function of torch, or its cheap stand-in."""
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if name == "__get__":  # a property, as the shape
            return func(*args, **kwargs)
        tensors = [one for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor)]
        meta = [one.is_meta for one in tensors]
        if not tensors or all(meta):
            return func(*args, **kwargs)
        if func in _STAND_INS:
            return _STAND_INS[func](*args, **kwargs)
        if any(meta):
            args, kwargs = tree_map_only(Tensor, _real, (args, kwargs))
        if func in _CHANNELWISE and all(map(_is_expanded, args[: _CHANNELWISE[func]])):
            return _once(func, _CHANNELWISE[func], args, kwargs)
        if name.endswith("_") and (not name.endswith("__") or name in _WRITING):
            args[0].data = args[0].contiguous()  # an expanded tensor cannot be written to
        return func(*args, **kwargs)


def _real(tensor: Tensor) -> Tensor:
    """Ones in place of weights without values: they neither hide nor make what is not a number."""
    return torch.ones(tensor.shape, dtype=tensor.dtype) if tensor.is_meta else tensor


def _is_expanded(x: object) -> bool:
    return isinstance(x, Tensor) and x.ndim == 4 and x.shape[1] > 1 and x.stride(1) == 0


def _once(
    func: Callable[..., Tensor], count: int, args: Sequence[Any], kwargs: dict[str, Any]
) -> Tensor:
    """Compute one channel and expand it to all."""
    channels = args[0].shape[1]
    result = func(*(x[:, :1] for x in args[:count]), *args[count:], **kwargs)
    return result.expand(-1, channels, -1, -1)


def _conv2d(
    input: Tensor,  # noqa: A002 - torch's name
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Pair = 1,
    padding: Pair | str = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> Tensor:
    del bias
    reached = F.conv2d(_marks(input, groups), _window(weight), None, stride, padding, dilation)
    return _spread(reached, len(input), weight.shape[0])


def _conv_transpose2d(
    input: Tensor,  # noqa: A002 - torch's name
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Pair = 1,
    padding: Pair = 0,
    output_padding: Pair = 0,
    groups: int = 1,
    dilation: Pair = 1,
) -> Tensor:
    del bias
    reached = _marks(input, groups)
    for axis in (0, 1):
        reached = _transposed(
            reached.transpose(2 + axis, -1),
            weight.shape[2 + axis],
            *(_pair(one)[axis] for one in (stride, padding, output_padding, dilation)),
        ).transpose(2 + axis, -1)
    return _spread(reached, len(input), weight.shape[1] * groups)


def _transposed(
    marks: Tensor, kernel: int, stride: int, padding: int, output_padding: int, dilation: int
) -> Tensor:
    """A transposed convolution of the last axis; torch's is slow where there is one channel."""
    reach = (marks.shape[-1] - 1) * stride + 1
    length = reach + dilation * (kernel - 1) + output_padding
    out = marks.new_zeros(*marks.shape[:-1], length)
    for tap in range(kernel):
        place = out[..., tap * dilation : tap * dilation + reach : stride]
        torch.maximum(place, marks, out=place)
    return out[..., padding : length - padding]


def _pair(value: Pair) -> tuple[int, int]:
    if isinstance(value, int):
        return value, value
    return value[0], value[-1]


def _marks(x: Tensor, groups: int) -> Tensor:
    """1 where a channel of a group is not a number, else 0; groups are put into the batch."""
    if _is_expanded(x):
        sums = x[:, :1].expand(-1, groups, -1, -1)
    else:
        sums = x.unflatten(1, (groups, -1)).sum(2)
    return sums.isnan().to(x.dtype).reshape(-1, 1, *x.shape[2:])


def _window(weight: Tensor) -> Tensor:
    return torch.ones(1, 1, *weight.shape[2:], dtype=weight.dtype)


def _spread(reached: Tensor, batch: int, channels: int) -> Tensor:
    """The marks as values that are 0 or not a number, in all channels of their group."""
    values = torch.zeros_like(reached).masked_fill_(reached > 0.5, torch.nan)
    values = values.unflatten(0, (batch, -1))
    groups = values.shape[1]
    if groups == 1:
        return values[:, 0].expand(-1, channels, -1, -1)
    return values.expand(-1, -1, channels // groups, -1, -1).flatten(1, 2)


def _linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:  # noqa: A002
    del bias
    return (input.sum(-1, keepdim=True) * 0).repeat_interleave(weight.shape[0], -1)


def _matmul(input: Tensor, other: Tensor) -> Tensor:  # noqa: A002 - torch's name
    """A product of maps with one matrix, as of interpolation, whose zeros read nothing."""
    one, two = input, other
    matrix = min(one, two, key=lambda x: x.ndim)
    if one.ndim == two.ndim or matrix.ndim != 2 or matrix.isnan().any():
        return torch.matmul(one, two)
    reached = torch.matmul(
        *((x != 0 if x is matrix else x.isnan()).to(x.dtype) for x in (one, two))
    )
    return torch.zeros_like(reached).masked_fill_(reached > 0, torch.nan)


def _same(input: Tensor, *_: object, **__: object) -> Tensor:  # noqa: A002 - torch's name
    """Stand in for what works value by value."""
    return input


_STAND_INS: dict[Any, Callable[..., Tensor]] = {
    torch.conv2d: _conv2d,
    F.conv_transpose2d: _conv_transpose2d,
    F.linear: _linear,
    **dict.fromkeys((torch.matmul, Tensor.matmul, Tensor.__matmul__), _matmul),
    **dict.fromkeys(
        (
            *(F.batch_norm, F.dropout, F.relu, torch.relu, torch.relu_, F.relu6, F.gelu, F.silu),
            *(F.hardswish, F.hardsigmoid, F.hardtanh, F.leaky_relu, torch.sigmoid, F.elu),
        ),
        _same,
    ),
}
# Functions that treat channels alike, and how many of their first arguments are maps.
_CHANNELWISE: dict[Any, int] = {
    **dict.fromkeys(
        (
            *(F.max_pool2d, F.avg_pool2d, F.adaptive_avg_pool2d, F.interpolate, F.pad),
            torch.max_pool2d,
        ),
        1,
    ),
    **dict.fromkeys(
        (torch.add, Tensor.add, Tensor.__add__, Tensor.__iadd__, torch.mul, Tensor.__mul__), 2
    ),
}
_WRITING = ("__setitem__", "__iadd__", "__imul__", "__isub__", "__itruediv__")

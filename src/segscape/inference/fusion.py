"""Fold batch normalisation into the convolution before it: the same numbers in one pass less.

With the statistics of training, normalisation is y = gamma (x - mean) / sqrt(var + eps) + beta: a
scale and a shift per channel, which the convolution's weights and bias can carry.

Which convolution feeds which normalisation is seen by running the model once: attributes named
`conv1` and `bn1` prove nothing, and tracing fails on models that branch on sizes.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage] - the only common class
from torch.nn.utils.fusion import fuse_conv_bn_weights

# Of the largest value: more than rounding leaves.
TOLERANCE = 1e-3

_Convolution = nn.Conv2d | nn.ConvTranspose2d


@dataclass
class _Pair:
    """A normalisation, the convolution that feeds it and what that one was called with."""

    convolution: _Convolution
    inputs: tuple[Any, ...]
    norm: _BatchNorm
    norm_name: str


@dataclass
class _Watched:
    """What went through the convolutions and normalisations of one run."""

    convolutions: list[tuple[_Convolution, tuple[Any, ...], Tensor]] = field(default_factory=list)
    norms: list[tuple[str, _BatchNorm, Tensor]] = field(default_factory=list)

    def pairs(self) -> list[_Pair]:
        """Normalisations whose input is the output of a convolution, each used once."""
        pairs: list[_Pair] = []
        for name, norm, x in self.norms:
            sources = [(conv, inputs) for conv, inputs, y in self.convolutions if y is x]
            if len(sources) != 1 or sum(other is norm for _, other, _ in self.norms) > 1:
                continue
            convolution, inputs = sources[0]
            if sum(other is convolution for other, _, _ in self.convolutions) == 1:
                pairs.append(_Pair(convolution, inputs, norm, name))
        return pairs


def fuse_batch_norms(model: nn.Module, run: Callable[[], Tensor]) -> int:
    """Fold what can be folded exactly, in place; the model must be in evaluation mode.

    It is rehearsed first: with each normalisation right behind its convolution the output must be
    what it was, or something else reads a map before it is normalised, and all stays as it is.
    Then each pair is compared on what went through it: a convolution that standardises its own
    weights is left alone. Old weights are let go one by one.

    Args:
        model: changed in place.
        run: calls the model on some input and returns its output; called twice.

    Returns:
        How many normalisations are gone.
    """
    watched = _Watched()
    with torch.no_grad():
        before = _watch(model, run, watched)
        pairs = watched.pairs()
        if not pairs or not _equal(_rehearse(model, run, pairs), before):
            return 0
        return sum(_fold(model, pair) for pair in pairs)


def _rehearse(model: nn.Module, run: Callable[[], Tensor], pairs: list[_Pair]) -> Tensor:
    """Run with each normalisation as a part of its convolution."""
    handles: list[torch.utils.hooks.RemovableHandle] = []
    try:
        for pair in pairs:
            handles.append(pair.convolution.register_forward_hook(_normalizing(pair.norm)))
            _replace(model, pair.norm_name, _what_is_left(pair.norm))
        return run()
    finally:
        for handle in handles:
            handle.remove()
        for pair in pairs:
            _replace(model, pair.norm_name, pair.norm)


def _normalizing(norm: _BatchNorm) -> Callable[[nn.Module, tuple[Any, ...], Tensor], Tensor]:
    return lambda _module, _inputs, y: _normalized(y, norm)


def _normalized(y: Tensor, norm: _BatchNorm) -> Tensor:
    return F.batch_norm(
        y, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps
    )


def _watch(model: nn.Module, run: Callable[[], Tensor], watched: _Watched) -> Tensor:
    handles: list[torch.utils.hooks.RemovableHandle] = []

    def note_convolution(module: nn.Module, inputs: tuple[Any, ...], y: Tensor) -> None:
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            watched.convolutions.append((module, inputs, y))

    def note_norm(name: str) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        def note(module: nn.Module, inputs: tuple[Any, ...]) -> None:
            if isinstance(module, _BatchNorm):
                watched.norms.append((name, module, inputs[0]))

        return note

    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            handles.append(module.register_forward_hook(note_convolution))
        elif isinstance(module, _BatchNorm) and module.running_mean is not None:
            handles.append(module.register_forward_pre_hook(note_norm(name)))
    try:
        return run()
    finally:
        for handle in handles:
            handle.remove()


def _fold(model: nn.Module, pair: _Pair) -> bool:
    """Fold a pair; whether that was exact, else nothing is changed."""
    conv, norm = pair.convolution, pair.norm
    mean, variance = norm.running_mean, norm.running_var
    if mean is None or variance is None:
        return False
    kept = conv.weight, conv.bias
    expected = _normalized(conv(*pair.inputs), norm)
    conv.weight, conv.bias = fuse_conv_bn_weights(
        conv.weight,
        conv.bias,
        mean,
        variance,
        norm.eps,
        norm.weight,
        norm.bias,
        transpose=isinstance(conv, nn.ConvTranspose2d),
    )
    if not _equal(conv(*pair.inputs), expected):
        conv.weight, conv.bias = kept
        return False
    _replace(model, pair.norm_name, _what_is_left(norm))
    return True


def _equal(got: Tensor, expected: Tensor) -> bool:
    scale = float(expected.abs().max()) or 1.0
    return float((got - expected).abs().max()) <= TOLERANCE * scale


def _what_is_left(norm: _BatchNorm) -> nn.Module:
    """The activation that timm builds into its normalisations, or nothing."""
    activation = getattr(norm, "act", None)
    return activation if isinstance(activation, nn.Module) else nn.Identity()


def _replace(model: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, attribute = name.rpartition(".")
    setattr(model.get_submodule(parent), attribute, module)

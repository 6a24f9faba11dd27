"""Fold batch normalisation into the convolution before it: the same numbers in one pass less.

With the statistics of training, normalisation is y = gamma (x - mean) / sqrt(var + eps) + beta: a
scale and a shift per channel, which the convolution's weights and bias can carry.

Which convolution feeds which normalisation is seen by running the model once: attributes named
`conv1` and `bn1` prove nothing, and tracing fails on models that branch on sizes.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage] - the only common class
from torch.nn.utils.fusion import fuse_conv_bn_weights

from segscape.layers.upsampled_conv import UpsampledConv2d

# More than rounding: what consumed a map before its normalisation would show at once.
TOLERANCE = 1e-3


@dataclass
class _Watched:
    """What went through the convolutions and normalisations of one run."""

    outputs: list[tuple[nn.Conv2d | nn.ConvTranspose2d, Tensor]] = field(default_factory=list)
    inputs: list[tuple[str, _BatchNorm, Tensor]] = field(default_factory=list)

    def pairs(self) -> list[tuple[nn.Conv2d | nn.ConvTranspose2d, str, _BatchNorm]]:
        """Normalisations whose input is the output of a convolution, each used once."""
        found: list[tuple[nn.Conv2d | nn.ConvTranspose2d, str, _BatchNorm]] = []
        for name, norm, x in self.inputs:
            sources = [conv for conv, y in self.outputs if y is x]
            if len(sources) != 1 or sum(other is norm for _, other, _ in self.inputs) > 1:
                continue
            if sum(conv is sources[0] for conv, _ in self.outputs) == 1:
                found.append((sources[0], name, norm))
        return found


def fuse_batch_norms(model: nn.Module, run: Callable[[], Tensor]) -> int:
    """Fold what can be folded exactly, in place; the model must be in evaluation mode.

    Args:
        model: changed in place.
        run: calls the model on some input and returns its output; called two or three times.

    Returns:
        How many normalisations are gone; 0, with the model as it was, when folding them would
        change the output by more than rounding.
    """
    watched = _Watched()
    with torch.no_grad():
        before = _watch(model, run, watched)
        pairs = watched.pairs()
        if not pairs:
            return 0
        kept = [(conv, conv.weight, conv.bias) for conv, _, _ in pairs]
        for conv, name, norm in pairs:
            _fold(conv, norm)
            _replace(model, name, _what_is_left(norm))
        after = run()
        scale = float(before.abs().max()) or 1.0
        if float((after - before).abs().max()) <= TOLERANCE * scale:
            return len(pairs)
        for (conv, weight, bias), (_, name, norm) in zip(kept, pairs, strict=True):
            conv.weight, conv.bias = weight, bias
            _replace(model, name, norm)
        return 0


def _watch(model: nn.Module, run: Callable[[], Tensor], watched: _Watched) -> Tensor:
    handles: list[torch.utils.hooks.RemovableHandle] = []

    def note_output(module: nn.Module, _: tuple[Tensor, ...], y: Tensor) -> None:
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            watched.outputs.append((module, y))

    def note_input(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def note(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            if isinstance(module, _BatchNorm):
                watched.inputs.append((name, module, inputs[0]))

        return note

    for name, module in model.named_modules():
        # Exactly these classes: one that standardises its weights at each call must keep them.
        if type(module) in (nn.Conv2d, nn.ConvTranspose2d, UpsampledConv2d):
            handles.append(module.register_forward_hook(note_output))
        elif isinstance(module, _BatchNorm) and module.running_mean is not None:
            handles.append(module.register_forward_pre_hook(note_input(name)))
    try:
        return run()
    finally:
        for handle in handles:
            handle.remove()


def _fold(conv: nn.Conv2d | nn.ConvTranspose2d, norm: _BatchNorm) -> None:
    if norm.running_mean is None or norm.running_var is None:
        return
    weight, bias = fuse_conv_bn_weights(
        conv.weight,
        conv.bias,
        norm.running_mean,
        norm.running_var,
        norm.eps,
        norm.weight,
        norm.bias,
        transpose=isinstance(conv, nn.ConvTranspose2d),
    )
    conv.weight, conv.bias = weight, bias


def _what_is_left(norm: _BatchNorm) -> nn.Module:
    """The activation that timm builds into its normalisations, or nothing."""
    activation = getattr(norm, "act", None)
    return activation if isinstance(activation, nn.Module) else nn.Identity()


def _replace(model: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, attribute = name.rpartition(".")
    setattr(model.get_submodule(parent), attribute, module)

"""Batch normalisation folded into the convolution before it, for prediction."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from segscape.layers.conv import ConvBatchNormReLU


def fuse_batch_norms(module: nn.Module, run: Callable[[], object]) -> int:
    """Fold batch normalisations into convolutions, in place; the function computed stays the same.

    In evaluation a batch normalisation is a fixed scale and shift per channel. Which normalisation
    follows which convolution is seen by running the network once.

    Args:
        module: a network in evaluation mode.
        run: runs it on an example.

    Returns:
        How many were folded.
    """
    fused = 0
    for layer in module.modules():
        if isinstance(layer, ConvBatchNormReLU) and isinstance(layer.norm, nn.BatchNorm2d):
            layer.conv = fuse_conv_bn_eval(layer.conv, layer.norm)
            layer.norm = nn.Identity()
            fused += 1
    for conv_name, norm_name in _pairs(module, run):
        conv, norm = module.get_submodule(conv_name), module.get_submodule(norm_name)
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            module.set_submodule(conv_name, fuse_conv_bn_eval(conv, norm))
            module.set_submodule(norm_name, _after(norm))
            fused += 1
    return fused


def _pairs(module: nn.Module, run: Callable[[], object]) -> list[tuple[str, str]]:
    """Names of convolutions with the normalisation that reads their output, each used once."""
    calls: dict[str, int] = {}
    # Outputs are kept alive: a freed tensor's identity could be given to another.
    outputs: list[tuple[str, Tensor]] = []
    pairs: list[tuple[str, str]] = []

    def watch_conv(name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
            calls[name] = calls.get(name, 0) + 1
            outputs.append((name, output))

        return hook

    def watch_norm(name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            calls[name] = calls.get(name, 0) + 1
            pairs.extend((conv, name) for conv, output in outputs if output is inputs[0])

        return hook

    handles: list[Any] = []
    for name, layer in module.named_modules():
        # Subclasses may change the weight before use, as weight standardisation does.
        if type(layer) is nn.Conv2d:
            handles.append(layer.register_forward_hook(watch_conv(name)))
        elif isinstance(layer, nn.BatchNorm2d) and layer.running_mean is not None:
            handles.append(layer.register_forward_pre_hook(watch_norm(name)))
    try:
        with torch.no_grad():
            run()
    finally:
        for handle in handles:
            handle.remove()
    return [pair for pair in pairs if calls[pair[0]] == calls[pair[1]] == 1]


def _after(norm: nn.BatchNorm2d) -> nn.Module:
    """What remains of a normalisation: timm's carry their activation with them."""
    rest = [part for part in (getattr(norm, "drop", None), getattr(norm, "act", None)) if part]
    return nn.Sequential(*rest) if rest else nn.Identity()

"""Batch normalisation over the batch of all processes, or by statistics that are held.

Ioffe and Szegedy 2015 (arXiv:1502.03167), algorithm 1; Peng et al. 2018, MegDet (arXiv:1711.07240),
section 3.3, for sharing the statistics.

Differences from the papers: none. torch's `SyncBatchNorm` does the same on CUDA and refuses the
CPU; this one works on both, so that a training on several processes equals one on one.

Held (`freeze`): the running statistics normalise in training too, and neither they nor scale and
shift change, as DeepLabv3 freezes its "batch normalization parameters" (arXiv:1706.05587, sec. 4.1)
and others whose batches are too small to normalise by. Code that only switches the layers to
evaluation, as that of Light-Weight RefineNet, goes on learning scale and shift.
"""

from typing import TypeVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage] - the only common class

from segscape.ops.processes import process_count, sum_over_processes
from segscape.structures.errors import StructureError

Frozen = TypeVar("Frozen", bound="FrozenBatchNorm2d")


class SynchronizedBatchNorm2d(nn.BatchNorm2d):
    """`nn.BatchNorm2d` whose training statistics are those of the global batch.

    With one process, and in evaluation, it is `nn.BatchNorm2d` and as fast. With more, the batches
    may differ in size and every process must run it equally often.
    """

    def forward(
        self,
        input: Float[Tensor, "batch channel height width"],  # noqa: A002 # torch's name
    ) -> Float[Tensor, "batch channel height width"]:
        """Normalise, scale and shift each channel."""
        if not self.training or process_count() == 1:
            return super().forward(input)
        mean, variance, count = _global_statistics(input)
        if self.track_running_stats:
            self._track(mean.detach(), variance.detach(), count)
        # y = gamma (x - mean) / sqrt(variance + eps) + beta, as one scale and one shift.
        scale = torch.rsqrt(variance + self.eps)
        if self.affine:
            scale = scale * self.weight
        shift = -mean * scale
        if self.affine:
            shift = shift + self.bias
        normalized = torch.addcmul(_per_channel(shift), input.to(shift), _per_channel(scale))
        return normalized.to(input.dtype)

    def _track(
        self,
        mean: Float[Tensor, "channel"],
        variance: Float[Tensor, "channel"],
        count: Float[Tensor, ""],
    ) -> None:
        running_mean, running_variance = self.running_mean, self.running_var
        batches = self.num_batches_tracked
        if running_mean is None or running_variance is None or batches is None:
            return
        batches.add_(1)
        momentum = 1 / float(batches) if self.momentum is None else self.momentum
        unbiased = variance * count / (count - 1).clamp(min=1)
        running_mean.lerp_(mean.to(running_mean), momentum)
        running_variance.lerp_(unbiased.to(running_variance), momentum)


class FrozenBatchNorm2d(nn.BatchNorm2d):
    """`nn.BatchNorm2d` that normalises by its running statistics in training, too."""

    def train(self: Frozen, mode: bool = True) -> Frozen:
        """Switch what is inside; the layer itself stays in evaluation mode."""
        super().train(mode)
        self.training = False
        return self


class _DropAndActivate(nn.BatchNorm2d):
    """As timm's `BatchNormAct2d`, which drops and activates in the same module.

    Attributes:
        drop: applied after normalisation.
        act: applied after dropping.
    """

    drop: nn.Module
    act: nn.Module

    def forward(
        self,
        input: Float[Tensor, "batch channel height width"],  # noqa: A002 # torch's name
    ) -> Float[Tensor, "batch channel height width"]:
        """Normalise, scale and shift each channel, drop, activate."""
        return self.act(self.drop(super().forward(input)))


class SynchronizedBatchNormAct2d(_DropAndActivate, SynchronizedBatchNorm2d):
    """`SynchronizedBatchNorm2d` for timm's `BatchNormAct2d`."""


class FrozenBatchNormAct2d(_DropAndActivate, FrozenBatchNorm2d):
    """`FrozenBatchNorm2d` for timm's `BatchNormAct2d`."""


def normalize_pooled(
    norm: nn.BatchNorm2d | nn.Identity, x: Float[Tensor, "batch channel height width"]
) -> Float[Tensor, "batch channel height width"]:
    """Normalise a map that may be a single pixel, as of an image pooled to one.

    One value has no variance: where all processes together hold only one per channel, the running
    statistics take the place of its own and stay as they are. A network trained on one image at a
    time so learns with the very statistics it is used with.

    Args:
        norm: of as many channels as the map, with running statistics; the identity where it was
            folded into a convolution for prediction.
        x: any size.

    >>> norm = nn.BatchNorm2d(1, eps=0)
    >>> normalize_pooled(norm, torch.full((1, 1, 1, 1), 3.0)).item()
    3.0
    """
    values = x.shape[0] * x.shape[2] * x.shape[3] * process_count()
    if isinstance(norm, nn.BatchNorm2d) and norm.training and values == 1:
        return F.batch_norm(
            x, norm.running_mean, norm.running_var, norm.weight, norm.bias, False, 0.0, norm.eps
        )
    return norm(x)


def remember_less(module: nn.Module, steps: int) -> None:
    """Let running statistics forget, within a training of so many steps, what they began with.

    A layer that takes a share of 0.01 of each batch's statistics, as torchvision's MobileNetV3 does
    for its hundreds of epochs over ImageNet, still holds 1 % of the initial variance of 1 after 460
    steps, which is more than all there is in many of its channels: the network learns and then
    labels everything alike. The share becomes at least 20 / steps, though not more than torch's
    own 0.1; layers that take as much already, and those whose average is cumulative, stay.

    Args:
        module: whose `BatchNorm` layers are changed in place.
        steps: of the whole training, 1 or more.

    >>> layer = nn.BatchNorm2d(1, momentum=0.01)
    >>> remember_less(layer, 500)
    >>> layer.momentum
    0.04
    """
    for layer in module.modules():
        if isinstance(layer, _BatchNorm) and layer.momentum is not None:
            layer.momentum = max(layer.momentum, min(0.1, 20 / steps))


def synchronize(module: nn.Module) -> nn.Module:
    """Let every `BatchNorm2d` of a network share its statistics over the processes.

    Parameters, buffers and their names stay the very same, so that optimisers and state dicts made
    before still fit. timm's `BatchNormAct2d` is understood.

    Args:
        module: changed in place.

    Returns:
        The network; a new module only where `module` itself is a `BatchNorm2d`.

    Raises:
        StructureError: for a subclass of `BatchNorm2d` that computes something else.

    >>> network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))
    >>> type(synchronize(network)[1]).__name__
    'SynchronizedBatchNorm2d'
    """
    return _replaced(module, SynchronizedBatchNorm2d, SynchronizedBatchNormAct2d)


def freeze(module: nn.Module) -> nn.Module:
    """Hold every `BatchNorm2d` of a network: statistics, scales and shifts stay as they are.

    `train()` does not thaw them. Parameters, buffers and their names stay the very same; scales and
    shifts need no gradient any more. timm's `BatchNormAct2d` is understood; what it drops and
    activates with goes on as before.

    Args:
        module: changed in place, with the statistics it is to keep.

    Returns:
        The network; a new module only where `module` itself is a `BatchNorm2d`.

    Raises:
        StructureError: for a subclass of `BatchNorm2d` that computes something else.

    >>> network = freeze(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))).train()
    >>> network[0].training, network[1].training, network[1].weight.requires_grad
    (True, False, False)
    """
    frozen = _replaced(module, FrozenBatchNorm2d, FrozenBatchNormAct2d)
    for norm in frozen.modules():
        if isinstance(norm, FrozenBatchNorm2d):
            norm.training = False
            for parameter in norm.parameters(recurse=False):
                parameter.requires_grad = False
    return frozen


def _replaced(
    module: nn.Module, plain: type[nn.BatchNorm2d], activating: type[nn.BatchNorm2d]
) -> nn.Module:
    """The network with each batch normalisation made one of these two kinds."""
    if isinstance(module, nn.BatchNorm2d):
        return _remade(module, plain, activating)
    for name, child in module.named_children():
        replacement = _replaced(child, plain, activating)
        if replacement is not child:
            setattr(module, name, replacement)
    return module


def _remade(
    norm: nn.BatchNorm2d, plain: type[nn.BatchNorm2d], activating: type[nn.BatchNorm2d]
) -> nn.BatchNorm2d:
    if isinstance(norm, plain):
        return norm
    # Here, not above: timm takes a second to import and most trainings have one process.
    from timm.layers.norm_act import BatchNormAct2d

    if type(norm) is nn.BatchNorm2d:
        kind = plain
    elif type(norm) is BatchNormAct2d:
        kind = activating
    else:
        raise StructureError(
            f"{type(norm).__name__} is a batch normalisation of its own kind, which can neither "
            "share its statistics nor hold them: use nn.BatchNorm2d, or train with one process and "
            "without training.freeze_batch_norm"
        )
    remade = kind.__new__(kind)
    # All that a module is: parameters, buffers, children, hooks and options, each the same object.
    remade.__dict__ = norm.__dict__
    return remade


def _global_statistics(
    x: Float[Tensor, "batch channel height width"],
) -> tuple[Float[Tensor, "channel"], Float[Tensor, "channel"], Float[Tensor, ""]]:
    """Mean and (biased) variance of each channel and the number of values behind them."""
    x = x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
    number = x.new_tensor([x.numel() / x.shape[1]])
    sums = sum_over_processes(torch.cat([x.sum((0, 2, 3)), number]))
    count = sums[-1].detach()
    mean = sums[:-1] / count
    # A second sum: the mean of squares less the square of the mean loses the digits of a small
    # variance around a large mean.
    variance = sum_over_processes((x - _per_channel(mean)).square().sum((0, 2, 3))) / count
    return mean, variance, count


def _per_channel(values: Float[Tensor, "channel"]) -> Float[Tensor, "1 channel 1 1"]:
    return values.reshape(1, -1, 1, 1)

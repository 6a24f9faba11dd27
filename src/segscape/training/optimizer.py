"""Optimizers, and which parameters decay."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Protocol, runtime_checkable

import torch
from pydantic import Field
from torch import Tensor, nn

from segscape.structures import RecipeError

Rate = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Decay = Annotated[float, Field(ge=0, lt=1)]
# The learning rate of each group before the schedule's factor.
BASE_RATE = "base_learning_rate"


@runtime_checkable
class OptimizerRule(Protocol):
    """The options of an optimizer; `build` makes it."""

    @property
    def learning_rate(self) -> float:
        """At the schedule's factor 1."""
        ...

    @property
    def weight_decay(self) -> float:
        """Of everything but norms and biases."""
        ...

    def build(self, groups: list[dict[str, Any]], *, fused: bool) -> torch.optim.Optimizer:
        """The optimizer over parameter groups that hold `lr` and `weight_decay`."""
        ...


@dataclass(frozen=True)
class AdamW:
    """Adam with decay apart from the gradient (Loshchilov and Hutter 2019, arXiv:1711.05101).

    Args:
        learning_rate: at the schedule's factor 1.
        weight_decay: of everything but norms and biases.
        beta1: decay of the gradient's average, in [0, 1).
        beta2: decay of the squared gradient's average, in [0, 1).
        epsilon: keeps the quotient finite, 0 or more.
    """

    learning_rate: Rate = 1e-3
    weight_decay: Rate = 1e-2
    beta1: Decay = 0.9
    beta2: Decay = 0.999
    epsilon: Rate = 1e-8

    def build(self, groups: list[dict[str, Any]], *, fused: bool) -> torch.optim.Optimizer:
        """The optimizer over parameter groups."""
        betas = (self.beta1, self.beta2)
        return torch.optim.AdamW(groups, betas=betas, eps=self.epsilon, fused=fused)


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma and Ba 2015, arXiv:1412.6980); decay, if any, is added to the gradient.

    Args:
        learning_rate: at the schedule's factor 1.
        weight_decay: of everything but norms and biases.
        beta1: decay of the gradient's average, in [0, 1).
        beta2: decay of the squared gradient's average, in [0, 1).
        epsilon: keeps the quotient finite, 0 or more.
    """

    learning_rate: Rate = 1e-3
    weight_decay: Rate = 0.0
    beta1: Decay = 0.9
    beta2: Decay = 0.999
    epsilon: Rate = 1e-8

    def build(self, groups: list[dict[str, Any]], *, fused: bool) -> torch.optim.Optimizer:
        """The optimizer over parameter groups."""
        betas = (self.beta1, self.beta2)
        return torch.optim.Adam(groups, betas=betas, eps=self.epsilon, fused=fused)


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent with momentum, what most of the older papers used.

    Args:
        learning_rate: at the schedule's factor 1.
        weight_decay: of everything but norms and biases.
        momentum: in [0, 1).
        nesterov: look ahead along the momentum.

    Raises:
        RecipeError: for looking ahead without momentum.
    """

    learning_rate: Rate = 1e-2
    weight_decay: Rate = 5e-4
    momentum: Decay = 0.9
    nesterov: bool = False

    def __post_init__(self) -> None:
        if self.nesterov and not self.momentum:
            raise RecipeError("sgd: nesterov looks ahead along a momentum of 0: raise momentum")

    def build(self, groups: list[dict[str, Any]], *, fused: bool) -> torch.optim.Optimizer:
        """The optimizer over parameter groups."""
        return torch.optim.SGD(
            groups, lr=0.0, momentum=self.momentum, nesterov=self.nesterov, fused=fused
        )


OPTIMIZERS: dict[str, type[OptimizerRule]] = {"adamw": AdamW, "adam": Adam, "sgd": SGD}


def build_optimizer(
    rule: OptimizerRule, model: nn.Module, *, encoder_factor: float = 1.0, fused: bool = False
) -> torch.optim.Optimizer:
    """The optimizer of a model's trainable parameters in up to four groups.

    Vectors (norms' scales and all biases) do not decay: pulling them to zero is not a prior anyone
    holds. Parameters of the encoder learn at `encoder_factor` times the rate.

    Args:
        rule: the recipe's optimizer.
        model: already on its device.
        encoder_factor: 1 for training from scratch, less for fine-tuning.
        fused: one kernel for all parameters; not under a gradient scaler.

    Raises:
        RecipeError: for a factor where the model has no encoder of its own.
    """
    if encoder_factor != 1.0 and not any(map(_is_encoder, dict(model.named_parameters()))):
        raise RecipeError(
            f"optimizer.encoder_learning_rate_factor: got {encoder_factor}, but a "
            f"{type(model).__name__} has no encoder: leave it out"
        )
    groups: dict[tuple[bool, bool], list[Tensor]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            place = (_is_encoder(name), parameter.ndim >= 2)
            groups.setdefault(place, []).append(parameter)
    return rule.build(
        [
            {
                "params": parameters,
                "lr": rule.learning_rate * (encoder_factor if encoder else 1.0),
                BASE_RATE: rule.learning_rate * (encoder_factor if encoder else 1.0),
                "weight_decay": rule.weight_decay if decays else 0.0,
            }
            for (encoder, decays), parameters in sorted(groups.items())
        ],
        fused=fused,
    )


def _is_encoder(name: str) -> bool:
    # What the papers call trunk and torchvision backbone.
    return name.startswith(("encoder.", "trunk.", "backbone."))


def set_learning_rate(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Set each group's rate to its base rate times the schedule's factor."""
    for group in optimizer.param_groups:
        group["lr"] = group[BASE_RATE] * factor


def optimizer_tensors(
    optimizer: torch.optim.Optimizer, named: Iterable[tuple[str, Tensor]]
) -> dict[str, Tensor]:
    """The optimizer's state by parameter name: `NAME|KEY` -> tensor."""
    return {
        f"{name}|{key}": value
        for name, parameter in named
        for key, value in optimizer.state.get(parameter, {}).items()
        if isinstance(value, Tensor)
    }


def restore_optimizer(
    optimizer: torch.optim.Optimizer,
    named: Iterable[tuple[str, Tensor]],
    tensors: dict[str, Tensor],
) -> None:
    """Put back what `optimizer_tensors` gave."""
    parameters = dict(named)
    for place, value in tensors.items():
        name, key = place.rsplit("|", 1)
        parameter = parameters[name]
        # In the parameter's memory layout: fused kernels walk both side by side.
        like = parameter if value.shape == parameter.shape else value
        kept = torch.empty_like(like, dtype=value.dtype, device=parameter.device).copy_(value)
        optimizer.state[parameter][key] = kept

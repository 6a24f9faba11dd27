"""One optimizer step: forward and backward passes, checks, update."""

from dataclasses import dataclass

import numpy as np
import torch

from segscape.ops.processes import gather_over_processes
from segscape.structures import TrainingError
from segscape.training.assembly import Assembly, gradients
from segscape.training.data_loading import TrainingLoader
from segscape.training.optimizer import set_learning_rate
from segscape.training.training_batch import TrainingBatch
from segscape.training.training_step import padded_alike

# Keeps dropout's random numbers apart from those of order and transforms.
_DROPOUT = 0x64726F70


@dataclass(frozen=True)
class StepResult:
    """What a step found.

    Args:
        loss: of the whole batch, before the step.
        terms: what it is the sum of.
        learning_rate: of the parameters outside the encoder.
        gradient_norm: before clipping.
        batch: the last one, for pictures.
    """

    loss: float
    terms: dict[str, float]
    learning_rate: float
    gradient_norm: float
    batch: TrainingBatch


def take_step(parts: Assembly, loader: TrainingLoader, step: int) -> StepResult:
    """Do the step after `step` steps are done.

    Raises:
        TrainingError: when the loss or its gradient is not finite; the weights are untouched.
        SegscapeError: of a file that cannot be read.
    """
    fabric, training = parts.fabric, parts.recipe.training
    factor = parts.schedule(step, parts.steps)
    set_learning_rate(parts.plain_optimizer, factor)
    sums: dict[str, float] = {}
    keys: list[str] = []
    batch = None
    for micro in range(training.accumulate):
        batch = padded_alike(loader.next().to(fabric.device))
        keys += batch.keys
        _seed_dropout(training.seed, step, micro, fabric.global_rank)
        last = micro == training.accumulate - 1
        with fabric.no_backward_sync(parts.module, enabled=not last):  # pyright: ignore[reportArgumentType] - what fabric.setup gave
            terms: dict[str, torch.Tensor] = parts.module(batch)
            loss = torch.stack(list(terms.values())).sum() / training.accumulate
            values = torch.stack([term.detach() for term in terms.values()]).tolist()
            for name, value in zip(terms, values, strict=True):
                sums[name] = sums.get(name, 0.0) + value / training.accumulate
            if not np.isfinite(values).all():
                raise _not_finite("loss", step, keys, sums)
            fabric.backward(loss)
    norm = _clipped_norm(parts)
    # A scaler's overflow is its normal business: it skips the step and scales down.
    if not np.isfinite(norm) and training.precision != "fp16":
        raise _not_finite("gradient", step, keys, sums)
    parts.optimizer.step()
    parts.plain_optimizer.zero_grad(set_to_none=True)
    if parts.average is not None:
        parts.average.update(parts.model, step)
    if batch is None:
        raise TrainingError("training.accumulate: expected 1 or more")
    rate = parts.plain_optimizer.param_groups[0]["lr"]
    return StepResult(sum(sums.values()), sums, rate, norm, batch)


def _clipped_norm(parts: Assembly) -> float:
    """The norm of the gradient before clipping by the recipe's limit, if any."""
    limit, precision = parts.recipe.training.clip_norm, parts.recipe.training.precision
    if limit is None and precision != "fp16":
        return float(torch.nn.utils.get_total_norm(gradients(parts.model), foreach=True))
    norm = parts.fabric.clip_gradients(
        parts.module,
        parts.optimizer,
        max_norm=float("inf") if limit is None else limit,
        error_if_nonfinite=False,
    )
    return float("nan") if norm is None else float(norm)


def _seed_dropout(seed: int, step: int, micro: int, rank: int) -> None:
    """Random numbers inside the model are a function of the step: nothing to save or restore."""
    words = np.random.SeedSequence([_DROPOUT, seed % 2**64, step, micro, rank])
    torch.manual_seed(int(words.generate_state(1, np.uint64)[0] >> 1))


def _not_finite(what: str, step: int, keys: list[str], terms: dict[str, float]) -> TrainingError:
    everyone = [key for keys_of_one in gather_over_processes(keys) for key in keys_of_one]
    listed = ", ".join(f"{name} {value:.4g}" for name, value in terms.items())
    return TrainingError(
        f"step {step + 1}: the {what} is not a finite number (loss terms: {listed}) on the samples "
        f"{', '.join(everyone)}: look at them, lower optimizer.learning_rate, set "
        "training.clip_norm or training.precision=fp32; the last checkpoint is untouched"
    )

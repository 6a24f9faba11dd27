"""A recipe put together: data, model, optimizer and devices, ready for the first step."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from segscape.datasets.dataset import Dataset
from segscape.layers.batch_norm import freeze, remember_less, synchronize
from segscape.models import Architecture, build_model
from segscape.models.model_files import ORIGINS
from segscape.models.semantic_model import SemanticModel
from segscape.structures import (
    CheckpointError,
    LabelMap,
    RecipeError,
    TrainingError,
)
from segscape.training.checkpoint import Checkpoint, Progress
from segscape.training.data_loading import TrainingLoader, cached
from segscape.training.data_sets import Sets
from segscape.training.initial_weights import start_from
from segscape.training.optimizer import (
    build_optimizer,
    optimizer_tensors,
    restore_optimizer,
)
from segscape.training.parts import (
    recipe_losses,
    recipe_optimizer,
    recipe_schedule,
    recipe_transforms,
)
from segscape.training.recipe import Recipe
from segscape.training.sample_order import BatchOrder, SampleOrder
from segscape.training.schedule import Schedule
from segscape.training.training_step import TrainingStep
from segscape.training.weight_average import WeightAverage


@dataclass(frozen=True)
class Assembly:
    """Everything that takes part in a training.

    Args:
        recipe: settled: nothing in it is `auto`.
        fabric: devices and processes.
        sets: the images.
        model: what is trained, on its device.
        module: the model with its losses as Fabric runs it.
        optimizer: as Fabric runs it.
        plain_optimizer: the same, as torch knows it.
        schedule: the learning rate's factor.
        average: the weights' moving average, None without one.
        identity: what must be the same for a run to go on.
    """

    recipe: Recipe
    fabric: Fabric
    sets: Sets
    model: SemanticModel
    module: nn.Module
    optimizer: torch.optim.Optimizer
    plain_optimizer: torch.optim.Optimizer
    schedule: Schedule
    average: WeightAverage[SemanticModel] | None
    identity: dict[str, Any] = field(repr=False)

    @property
    def steps(self) -> int:
        """Optimizer steps in all."""
        return self.recipe.training.total_steps(len(self.sets.train))

    @property
    def images_per_step(self) -> int:
        """Over all processes and micro-batches."""
        return self.recipe.training.batch_size * self.recipe.training.accumulate

    @property
    def judged(self) -> SemanticModel:
        """The model that is evaluated and saved."""
        return self.model if self.average is None else self.average.model

    def epoch(self, step: int) -> float:
        """Images seen after so many steps, over the images there are."""
        return step * self.images_per_step / len(self.sets.train)

    def loader(self, step: int) -> TrainingLoader:
        """The batches from a step on."""
        training, fabric = self.recipe.training, self.fabric
        order = BatchOrder(
            SampleOrder(len(self.sets.train), seed=training.seed),
            batch_size=training.batch_size,
            first=step * training.accumulate,
            last=self.steps * training.accumulate,
            process=fabric.global_rank,
            processes=fabric.world_size,
        )
        return TrainingLoader(
            self.sets.train,
            recipe_transforms(self.recipe),
            order,
            seed=training.seed,
            workers=training.workers,
            pin_memory=fabric.device.type == "cuda",
        )

    def checkpoint(self, progress: Progress, journal_bytes: int) -> Checkpoint:
        """The state after a step."""
        return Checkpoint(
            progress=progress,
            journal_bytes=journal_bytes,
            scaler=self.fabric.strategy.precision.state_dict(),
            identity=self.identity,
            model=self.model.state_dict(),
            average={} if self.average is None else self.average.model.state_dict(),
            optimizer=optimizer_tensors(self.plain_optimizer, self.model.named_parameters()),
        )

    def restore(self, checkpoint: Checkpoint, folder: Path) -> None:
        """Put back what `checkpoint` gave.

        Raises:
            CheckpointError: when its tensors belong to another model.
        """
        _load(self.model, checkpoint.model, folder)
        if self.average is not None:
            _load(self.average.model, checkpoint.average, folder)
        restore_optimizer(
            self.plain_optimizer, self.model.named_parameters(), dict(checkpoint.optimizer)
        )
        if checkpoint.scaler:
            self.fabric.strategy.precision.load_state_dict(dict(checkpoint.scaler))


def _load(model: nn.Module, tensors: Mapping[str, Tensor], folder: Path) -> None:
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise CheckpointError(
            f"{folder}: holds the weights of another architecture "
            f"({' '.join(str(error).split())[:160]}): train into another folder with --out"
        ) from error


def cached_sets(recipe: Recipe, sets: Sets) -> Sets:
    """The data sets, decoded into memory where the recipe says so.

    Raises:
        SegscapeError: of the first file that cannot be read.
    """
    wanted = None if recipe.data.cache == "auto" else recipe.data.cache
    return Sets(cached(sets.train, wanted=wanted), cached(sets.val, wanted=wanted))


def assemble(recipe: Recipe, fabric: Fabric, sets: Sets, *, is_begun: bool = False) -> Assembly:
    """Build everything for a settled recipe.

    Args:
        recipe: what to build.
        fabric: devices and processes.
        sets: the images.
        is_begun: whether a checkpoint will replace the weights, so that the files in which they
            began are not needed again.

    Raises:
        SegscapeError: when a part cannot be built.
    """
    training = recipe.training
    if training.batch_size % fabric.world_size:
        raise TrainingError(
            f"training.batch_size {training.batch_size} cannot be shared by {fabric.world_size} "
            "processes: make it a multiple"
        )
    torch.manual_seed(training.seed)
    model = recipe_model(recipe, sets.train, is_begun=is_begun)
    if recipe.weights is not None and not is_begun:
        start_from(model, Path(recipe.weights))
    channels_last = training.channels_last is True
    model.to(fabric.device)
    if channels_last:
        model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] - a gap in torch's stubs
    model.criteria = recipe_losses(recipe, sets.train, fabric.device)
    if training.freeze_batch_norm:
        freeze(model)
    elif fabric.world_size > 1:
        synchronize(model)
    remember_less(model, training.total_steps(len(sets.train)))
    model.train()
    average = None if training.ema is None else WeightAverage(model, training.ema)
    plain = build_optimizer(
        recipe_optimizer(recipe),
        model,
        encoder_factor=recipe.optimizer.encoder_learning_rate_factor,
        # A gradient scaler and a clipped norm need the gradients between two kernels.
        fused=training.precision != "fp16" and fabric.device.type in ("cpu", "cuda"),
    )
    step: nn.Module = TrainingStep(model, channels_last=channels_last)
    if training.compile:
        step = torch.compile(step)  # pyright: ignore[reportAssignmentType] - a module again
    module, optimizer = fabric.setup(step, plain)
    return Assembly(
        recipe=recipe,
        fabric=fabric,
        sets=sets,
        model=model,
        module=module,
        optimizer=optimizer,
        plain_optimizer=plain,
        schedule=recipe_schedule(recipe),
        average=average,
        identity=_identity(recipe, sets),
    )


def recipe_model(
    recipe: Recipe, dataset: Dataset[LabelMap], *, is_begun: bool = False
) -> SemanticModel:
    """The model of a recipe, as it begins; with any weights when it `is_begun`.

    Raises:
        RecipeError: for an unknown model or option, or one of another task.
    """
    options = recipe.model.options
    kept = {key: options[key] for key in options if not (is_begun and key in ORIGINS)}
    model = build_model(recipe.model.name, dataset.taxonomy, kept)
    if is_begun:
        model.architecture = Architecture(recipe.model.name, options)
    if not isinstance(model, SemanticModel):
        raise RecipeError(f"model.name: '{recipe.model.name}' is not a {recipe.task} network")
    return model


def _identity(recipe: Recipe, sets: Sets) -> dict[str, Any]:
    taxonomy = sets.train.taxonomy
    return {
        "recipe": recipe.outcome(),
        "categories": list(taxonomy.names),
        "things": [asdict(category)["is_thing"] for category in taxonomy.categories],
        "ignore_id": taxonomy.ignore_id,
        "data": {
            name: f"{len(dataset)} images, {_fingerprint(dataset.keys)}"
            for name, dataset in (("train", sets.train), ("val", sets.val))
        },
    }


def _fingerprint(keys: tuple[str, ...]) -> str:
    return hashlib.sha256("\n".join(keys).encode()).hexdigest()[:16]


def gradients(model: nn.Module) -> list[Tensor]:
    """The gradients that the last backward pass left."""
    return [parameter.grad for parameter in model.parameters() if parameter.grad is not None]

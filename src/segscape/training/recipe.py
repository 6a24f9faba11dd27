"""The recipe: everything that decides the outcome of a training, as frozen data."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from segscape.inference.ensemble import EnsembleRule
from segscape.structures import RecipeError
from segscape.training.entries import Entry, explain
from segscape.training.recipe_text import SHIPPED as SHIPPED
from segscape.training.recipe_text import override, recipe_mapping, to_yaml

Positive = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, lt=1)]
Automatic = Literal["auto"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Data(_Part):
    """Which images.

    Args:
        train: `LAYOUT:ROOT` of the training images.
        train_split: the split of them.
        val: `LAYOUT:ROOT` of the validation images, None for the same as `train`.
        val_split: the split of them.
        classes: path of a classes file, or its content; None for what the layout finds.
        ignore: ids in files that do not count.
        cache: keep decoded images in memory; `auto` when they take 2 GiB or less.
    """

    train: str
    train_split: str = "train"
    val: str | None = None
    val_split: str = "val"
    classes: str | dict[str, Any] | None = None
    ignore: tuple[int, ...] = ()
    cache: bool | Automatic = "auto"


class LossEntry(Entry):
    """One term of the loss: a name from LOSSES, its weight in the sum, its options."""

    weight: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0


class OptimizerEntry(Entry):
    """A name from OPTIMIZERS, its options, and the encoder's share of the learning rate."""

    name: str = "adamw"
    encoder_learning_rate_factor: Annotated[float, Field(ge=0)] = 1.0


class Training(_Part):
    """How long and how.

    Args:
        epochs: passes over the training images; None when `steps` or `minutes` is given.
        steps: optimizer steps, instead of epochs.
        minutes: of training and evaluation on this machine, instead of epochs; what a step takes
            is measured first, and the run is then one of so many steps.
        batch_size: images per forward pass over all processes.
        accumulate: forward passes per optimizer step.
        clip_norm: upper bound of the gradient's norm.
        precision: `auto` measures which is faster on this machine.
        channels_last: memory layout; `auto` measures.
        ema: decay of the weights' moving average, which is what is evaluated and saved.
        freeze_batch_norm: batch normalisation keeps the statistics, scales and shifts of the
            weights it began with, as in fine-tuning with batches too small to normalise by.
        seed: of weights, order, transforms and dropout.
        workers: processes that read images; does not change results.
        early_stopping: stop after this many evaluations without a new best.
        evaluate_every: epochs between evaluations.
        checkpoint_seconds: seconds between checkpoints.
        previews: validation images drawn at each evaluation.
        compile: use torch.compile.
        tensorboard: also write TensorBoard files.
    """

    epochs: Positive | None = None
    steps: Positive | None = None
    minutes: Annotated[float, Field(gt=0)] | None = None
    batch_size: Positive = 8
    accumulate: Positive = 1
    clip_norm: Annotated[float, Field(gt=0)] | None = None
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    channels_last: bool | Automatic = "auto"
    ema: Share | None = None
    freeze_batch_norm: bool = False
    seed: Annotated[int, Field(ge=0)] = 0
    workers: Annotated[int, Field(ge=0)] = 2
    early_stopping: Positive | None = None
    evaluate_every: Positive = 1
    checkpoint_seconds: Annotated[float, Field(ge=0)] = 60.0
    previews: Annotated[int, Field(ge=0)] = 4
    compile: bool = False
    tensorboard: bool = False

    @model_validator(mode="after")
    def _one_length(self) -> "Training":
        lengths = {"epochs": self.epochs, "steps": self.steps, "minutes": self.minutes}
        given = [name for name, length in lengths.items() if length is not None]
        if len(given) != 1:
            too_many = " or ".join(f"training.{name}=null" for name in given)
            found = f"; it has {' and '.join(given)}: set {too_many}" if given else ""
            raise ValueError(f"one of epochs, steps and minutes{found}")
        return self

    def total_steps(self, images: int) -> int:
        """Optimizer steps for a data set of so many images.

        Raises:
            RecipeError: when only `minutes` are known.
        """
        if self.steps is not None:
            return self.steps
        if self.epochs is None:
            raise RecipeError("training.minutes: not measured yet: train, or give steps or epochs")
        return max(1, self.epochs * images // (self.batch_size * self.accumulate))

    def evaluation_steps(self, images: int) -> frozenset[int]:
        """The steps after which to evaluate: at the end of epochs, and the last."""
        steps, per_step = self.total_steps(images), self.batch_size * self.accumulate
        every = self.evaluate_every * images
        ends = {-(-every * k // per_step) for k in range(1, steps * per_step // every + 1)}
        return frozenset({step for step in ends if step <= steps} | {steps})


class EnsembleEntry(_Part):
    """Other runs whose scores are joined with this one's.

    Args:
        runs: run or model folders, each used as the `prediction` of its own recipe says; those
            that it is joined with in its own recipe are left out.
        rule: `mean` of the probabilities, or `product` of the scores before the softmax, each cut
            off at 0.
    """

    runs: Annotated[tuple[str, ...], Field(min_length=1)]
    rule: EnsembleRule = "mean"


class Prediction(_Part):
    """How the trained model is used by default.

    Args:
        flips: average over the mirrored image.
        turns: average over the image turned by 90, 180 and 270 degrees.
        scales: average over these sizes, 1 for the image's own.
        tile: height and width of tiles, None for whole images.
        overlap: pixels that tiles share, None for an eighth of the shorter side.
        proposals: score so many object proposals instead of the image, None for the image.
        ensemble: other runs whose scores are joined with this one's.
    """

    flips: bool = False
    turns: bool = False
    scales: tuple[Annotated[float, Field(gt=0)], ...] = (1.0,)
    tile: tuple[Positive, Positive] | None = None
    overlap: Annotated[int, Field(ge=0)] | None = None
    proposals: Positive | None = None
    ensemble: EnsembleEntry | None = None

    @model_validator(mode="after")
    def _at_most_half(self) -> "Prediction":
        if self.overlap is not None and (self.tile is None or 2 * self.overlap > min(self.tile)):
            raise ValueError("a tile, and an overlap of at most half its shorter side")
        return self

    @model_validator(mode="after")
    def _whole_images(self) -> "Prediction":
        if self.tile is not None and self.proposals is not None:
            raise ValueError("one of tile and proposals, which are found in whole images")
        return self


class Recipe(_Part):
    """What to train and how; see `segscape/recipes` for the shipped ones.

    Args:
        about: one line for people.
        task: what is learned.
        data: which images.
        model: a name from MODELS and its options.
        weights: run or model folder to start from.
        transforms: names from TRANSFORMS with options, in the order of application.
        losses: names from LOSSES with options and weights.
        optimizer: a name from OPTIMIZERS with options.
        schedule: a name from SCHEDULES with options.
        training: how long and how.
        prediction: how the trained model is used by default.
    """

    about: str = ""
    task: Literal["semantic"] = "semantic"
    data: Data
    model: Entry
    weights: str | None = None
    transforms: tuple[Entry, ...] = ()
    losses: Annotated[tuple[LossEntry, ...], Field(min_length=1)] = (
        LossEntry(name="cross_entropy"),
    )
    optimizer: OptimizerEntry = OptimizerEntry()
    schedule: Entry = Entry(name="poly")
    training: Training
    prediction: Prediction = Prediction()

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> "Recipe":
        """Build from what a YAML file holds.

        Raises:
            RecipeError: naming the key path, what was got and what was expected.
        """
        try:
            return cls.model_validate(dict(mapping))
        except ValidationError as error:
            raise RecipeError(explain(error, model=cls)) from error

    def to_yaml(self) -> str:
        """The text of a recipe file that reads back as this recipe."""
        return to_yaml(self.model_dump(mode="json"))

    def outcome(self) -> dict[str, Any]:
        """What decides the numbers: the recipe without where data lie and how work is shared."""
        whole = self.model_dump(mode="json", exclude={"about", "prediction"})
        for part, keys in _BESIDE_THE_OUTCOME.items():
            for key in keys:
                whole[part].pop(key)
        return whole


# Where the data lie is left out: a run may continue where the folder has moved, and what is in the
# folder is compared by its own fingerprint.
_BESIDE_THE_OUTCOME = {
    "data": ("train", "val", "cache"),
    "training": ("workers", "checkpoint_seconds", "previews", "tensorboard"),
}


def read_recipe(name_or_path: str | Path, overrides: tuple[str, ...] | list[str] = ()) -> Recipe:
    """Read a shipped recipe by name, or a recipe file or run folder by path.

    Args:
        name_or_path: as `demo`, `mine.yaml` or `runs/camvid`.
        overrides: `dotted.key=value`, the value in YAML, lists by index, as
            `training.epochs=2` or `transforms.0.low=0.4`.

    Raises:
        RecipeError: naming the recipe, the key path, what was got and what was expected.
    """
    try:
        mapping = recipe_mapping(name_or_path)
        for word in overrides:
            override(mapping, word)
        return Recipe.from_mapping(mapping)
    except RecipeError as error:
        raise RecipeError(f"recipe {name_or_path}: {error}") from error

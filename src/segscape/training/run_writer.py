"""What process 0 writes while a run goes on: journal, checkpoints, model, previews, curves."""

from pathlib import Path
from time import monotonic
from types import TracebackType

from segscape.models.model_files import save_model
from segscape.training.assembly import Assembly
from segscape.training.checkpoint import (
    BEST,
    LAST,
    Checkpoint,
    Progress,
    link_checkpoint,
    save_checkpoint,
)
from segscape.training.environment import environment
from segscape.training.journal import JOURNAL, Journal
from segscape.training.optimizer_step import StepResult
from segscape.training.previews import write_first_batch, write_validation
from segscape.training.run_folder import MODEL
from segscape.training.tensorboard import TensorBoard
from segscape.training.validation import Validation


class RunWriter:
    """Writes a run's files; on other processes than the first it does nothing.

    The order of writing is what makes every instant one from which a run can continue: the journal
    is on the disk before the checkpoint that knows its length, the best model before the checkpoint
    that says it was evaluated.

    Args:
        parts: what is trained.
        run: the run folder.
        checkpoint: what the run continues from; what the journal holds beyond it is cut off.

    Raises:
        OutputError: when a file cannot be written, as for all methods.
        RecipeError: when TensorBoard is asked for and not installed.
    """

    def __init__(self, parts: Assembly, run: Path, checkpoint: Checkpoint | None) -> None:
        self._parts, self._run = parts, run
        self._began = self.saved = monotonic()
        self._journal: Journal | None = None
        step = 0 if checkpoint is None else checkpoint.progress.step
        active = parts.fabric.is_global_zero
        self._board = TensorBoard(run, step, wanted=active and parts.recipe.training.tensorboard)
        if active:
            path = run / JOURNAL
            there = path.stat().st_size if path.exists() else 0
            keep = 0 if checkpoint is None else min(checkpoint.journal_bytes, there)
            self._journal = Journal(run, keep_bytes=keep)
            self._start("start" if checkpoint is None else "resume", step)

    def __enter__(self) -> "RunWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._board.close()
        if self._journal is not None:
            self._journal.close()

    def _start(self, kind: str, step: int) -> None:
        parts, training = self._parts, self._parts.recipe.training
        images = len(parts.sets.train)
        values = {
            "steps": parts.steps,
            "images": images,
            "epoch_steps": images / parts.images_per_step,
            "parameters": sum(parameter.numel() for parameter in parts.model.parameters()),
            "precision": training.precision,
            "channels_last": training.channels_last,
            "processes": parts.fabric.world_size,
        }
        time = {"environment": environment(parts.fabric.device)}
        if self._journal is not None:
            self._journal.append(kind, step, values, time)

    def step(self, step: int, result: StepResult, seconds: float) -> None:
        """Note a step."""
        if self._journal is None:
            return
        values = {
            "epoch": self._parts.epoch(step),
            "loss": result.loss,
            "terms": result.terms,
            "learning_rate": result.learning_rate,
            "gradient_norm": result.gradient_norm,
        }
        self._journal.append("step", step, values, {"seconds": seconds})
        scalars = {"loss": result.loss, "learning_rate": result.learning_rate}
        self._board.add("train", step, scalars)
        if step == 1:
            write_first_batch(self._run, result.batch, self._parts.sets.train.taxonomy)

    def evaluation(
        self, step: int, found: Validation, time: dict[str, float], *, is_best: bool
    ) -> None:
        """Note a validation and draw its examples."""
        if self._journal is None:
            return
        values = {
            "epoch": self._parts.epoch(step),
            "loss": found.loss,
            "miou": found.miou,
            "pixel_accuracy": found.scores.pixel_accuracy,
            "iou": {category.name: category.iou for category in found.scores.per_class},
            "best": is_best,
        }
        self._journal.append("evaluation", step, values, time)
        self._board.add("val", step, {"loss": found.loss, "miou": found.miou})
        write_validation(self._run, step, found.examples)

    def save_best(self, progress: Progress) -> None:
        """Write the model and both checkpoints."""
        if self._journal is not None:
            save_model(self._run / MODEL, self._parts.judged)
            state = self._parts.checkpoint(progress, self._journal.sync())
            save_checkpoint(self._run / BEST, state)
            link_checkpoint(self._run / BEST, self._run / LAST)
        self.saved = monotonic()

    def save(self, progress: Progress) -> None:
        """Write the last checkpoint."""
        if self._journal is not None:
            state = self._parts.checkpoint(progress, self._journal.sync())
            save_checkpoint(self._run / LAST, state)
        self.saved = monotonic()

    def finish(self, progress: Progress) -> None:
        """Write the last checkpoint and the journal's last line."""
        self.save(progress)
        if self._journal is None:
            return
        early = progress.step < self._parts.steps
        values = {
            "epoch": self._parts.epoch(progress.step),
            "reason": "early_stopping" if early else "finished",
            "best": {"step": progress.best_step, "miou": progress.best_miou},
        }
        time = {"seconds": monotonic() - self._began}
        self._journal.append("end", progress.step, values, time)
        self._journal.sync()

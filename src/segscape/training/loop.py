"""The training loop: steps, evaluations, checkpoints, and nothing that a resumed run lacks.

Everything that happens is a function of the recipe, the images and the number of steps done. The
loop therefore keeps no state but weights, optimizer and `Progress`, and continues a run killed at
any instant to the same bits: what happened after the last checkpoint happens again.
"""

from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic

import torch
import torch.distributed as distributed

from segscape.models.model_files import save_model
from segscape.ops.processes import process_count
from segscape.training.assembly import (
    Assembly,
    assemble,
    on_first_process,
    open_fabric,
    open_sets,
    recipe_model,
)
from segscape.training.checkpoint import (
    BEST,
    LAST,
    Checkpoint,
    Progress,
    has_checkpoint,
    link_checkpoint,
    load_checkpoint,
    refuse_another,
    save_checkpoint,
)
from segscape.training.data_loading import TrainingLoader
from segscape.training.environment import environment
from segscape.training.hardware import choose
from segscape.training.interruption import Interrupted, Interruption, remembered_signals
from segscape.training.journal import JOURNAL, Journal, read_journal
from segscape.training.optimizer_step import StepResult, take_step
from segscape.training.parts import check_recipe
from segscape.training.previews import write_first_batch, write_validation
from segscape.training.progress_display import Display, Silence, display
from segscape.training.recipe import Recipe
from segscape.training.run_folder import (
    MODEL,
    begin,
    decided,
    refuse_existing,
    saved_recipe,
    settled,
)
from segscape.training.tensorboard import TensorBoard
from segscape.training.validation import validate


@dataclass(frozen=True)
class Trained:
    """What a training came to.

    Args:
        run: the run folder.
        progress: its last state.
        was_finished: True when there was nothing left to do.
    """

    run: Path
    progress: Progress
    was_finished: bool = False


def train(recipe: Recipe, out: str | Path, *, resume: bool = False, quiet: bool = False) -> Trained:
    """Train a recipe into a run folder.

    Args:
        recipe: what to train and how.
        out: the run folder; new, or begun before when `resume` is set.
        resume: continue a run that was stopped; begins it when it had not begun.
        quiet: show nothing.

    Raises:
        RecipeError: for names or options that nothing is known of.
        DatasetError: when images or masks cannot be used.
        OutputError: when the folder exists (without `resume`) or cannot be written.
        CheckpointError: when the folder belongs to another recipe, or its checkpoint is damaged.
        TrainingError: when the loss is not finite, naming the samples.
        Interrupted: after Ctrl-C or SIGTERM, the state saved.
    """
    run = Path(out)
    check_recipe(recipe)
    sets = open_sets(recipe)
    fabric = open_fabric()
    recipe_model(recipe, sets.train)  # refuses wrong options before anything is written

    def first() -> Recipe:
        refuse_existing(run, resume=resume)
        saved = saved_recipe(run)
        if saved is not None:
            return settled(recipe, saved, run)
        ready = decided(recipe, choose(fabric.device))
        begin(run, ready)
        return ready

    recipe = on_first_process(fabric, first)
    fabric = open_fabric(recipe.training.precision)
    parts = assemble(recipe, fabric, sets)
    checkpoint = load_checkpoint(run / LAST) if has_checkpoint(run) else None
    if checkpoint is not None:
        refuse_another(run / LAST, checkpoint.identity, parts.identity)
        parts.restore(checkpoint, run / LAST)
        if _is_finished(run, checkpoint):
            return Trained(run, checkpoint.progress, was_finished=True)
    return _Session(parts, run, checkpoint, quiet=quiet).go_on()


def _is_finished(run: Path, checkpoint: Checkpoint) -> bool:
    records = read_journal(run)
    return bool(records) and (records[-1]["kind"], records[-1]["step"]) == (
        "end",
        checkpoint.progress.step,
    )


class _Session:
    """From the last checkpoint, if any, to the end or an interruption."""

    def __init__(
        self, parts: Assembly, run: Path, checkpoint: Checkpoint | None, *, quiet: bool
    ) -> None:
        self.parts, self.run = parts, run
        self.checkpoint = checkpoint
        self.progress = Progress() if checkpoint is None else checkpoint.progress
        self.quiet = quiet or not parts.fabric.is_global_zero
        self.began = self.saved = self.judged = monotonic()
        self.judged_step = self.progress.step

    def go_on(self) -> Trained:
        """Train until the end."""
        training = self.parts.recipe.training
        evaluations = training.evaluation_steps(len(self.parts.sets.train))
        with ExitStack() as stack:
            signals = stack.enter_context(remembered_signals())
            self.journal = self._open_journal(stack)
            shown: Display = (
                Silence() if self.quiet else display(self.parts.steps, self.progress.step)
            )
            shown = stack.enter_context(shown)
            board = self._open_board(stack)
            self._note_start()
            loader = self.parts.loader(self.progress.step)
            stack.callback(loader.close)
            while True:
                step = self.progress.step
                if step in evaluations and self.progress.evaluated != step:
                    self._evaluate(loader, shown, board)
                if step >= self.parts.steps or self._is_stale():
                    break
                self._step(loader, shown, board)
                self._stop_if_asked(signals)
                if monotonic() - self.saved >= training.checkpoint_seconds:
                    self._save()
            self._finish()
        return Trained(self.run, self.progress)

    def _is_stale(self) -> bool:
        patience = self.parts.recipe.training.early_stopping
        return patience is not None and self.progress.stale >= patience

    def _step(self, loader: TrainingLoader, shown: Display, board: TensorBoard) -> None:
        began, step = monotonic(), self.progress.step
        result = take_step(self.parts, loader, step)
        self.progress = replace(self.progress, step=step + 1)
        if step == 0 and self.parts.fabric.is_global_zero:
            taxonomy = self.parts.sets.train.taxonomy
            write_first_batch(self.run, result.batch, taxonomy)
        self._note_step(result, monotonic() - began)
        shown.step(step + 1, result.loss)
        board.add("train", step + 1, {"loss": result.loss, "learning_rate": result.learning_rate})

    def _note_step(self, result: StepResult, seconds: float) -> None:
        if self.journal is None:
            return
        values = {
            "epoch": self.parts.epoch(self.progress.step),
            "loss": result.loss,
            "terms": result.terms,
            "learning_rate": result.learning_rate,
            "gradient_norm": result.gradient_norm,
        }
        self.journal.append("step", self.progress.step, values, {"seconds": seconds})

    def _evaluate(self, loader: TrainingLoader, shown: Display, board: TensorBoard) -> None:
        parts, step = self.parts, self.progress.step
        began = monotonic()
        training_seconds, waited = began - self.judged, loader.waited
        found = validate(
            parts.judged,
            parts.sets.val,
            device=parts.fabric.device,
            precision=parts.fabric.autocast(),
            channels_last=parts.recipe.training.channels_last is True,
            rank=parts.fabric.global_rank,
            processes=parts.fabric.world_size,
            examples=parts.recipe.training.previews,
        )
        before = self.progress
        is_best = before.best_step < 0 or (found.miou or 0.0) > (before.best_miou or 0.0)
        self.progress = replace(
            before,
            evaluated=step,
            best_step=step if is_best else before.best_step,
            best_miou=found.miou if is_best else before.best_miou,
            stale=0 if is_best else before.stale + 1,
        )
        if self.journal is not None:
            scores = found.scores
            values = {
                "epoch": parts.epoch(step),
                "loss": found.loss,
                "miou": found.miou,
                "pixel_accuracy": scores.pixel_accuracy,
                "iou": {category.name: category.iou for category in scores.per_class},
                "best": is_best,
            }
            images = (step - self.judged_step) * parts.images_per_step
            time = {
                "seconds": monotonic() - began,
                "data_wait": waited / training_seconds if training_seconds > 0 else 0.0,
                "images_per_second": images / training_seconds if training_seconds > 0 else 0.0,
            }
            self.journal.append("evaluation", step, values, time)
            write_validation(self.run, step, found.examples)
        shown.evaluation(
            step, parts.epoch(step), found.loss, found.miou or float("nan"), best=is_best
        )
        board.add("val", step, {"loss": found.loss, "miou": found.miou})
        if is_best:
            self._save_best()
        loader.waited, self.judged, self.judged_step = 0.0, monotonic(), step

    def _save_best(self) -> None:
        """Weights first: when `last` says that this step was evaluated, its model is in place."""
        if self.journal is None:
            return
        save_model(self.run / MODEL, self.parts.judged)
        save_checkpoint(self.run / BEST, self.parts.checkpoint(self.progress, self.journal.sync()))
        link_checkpoint(self.run / BEST, self.run / LAST)
        self.saved = monotonic()

    def _save(self) -> None:
        if self.journal is not None:
            state = self.parts.checkpoint(self.progress, self.journal.sync())
            save_checkpoint(self.run / LAST, state)
        self.saved = monotonic()

    def _stop_if_asked(self, signals: Interruption) -> None:
        number = signals.number
        if process_count() > 1:  # one process may have heard the signal a step before another
            heard = torch.tensor(number, device=self.parts.fabric.device)
            distributed.all_reduce(heard, distributed.ReduceOp.MAX)
            number = int(heard)
        if number:
            self._save()
            raise Interrupted(number, self.progress.step)

    def _open_journal(self, stack: ExitStack) -> Journal | None:
        """Only process 0 writes."""
        if not self.parts.fabric.is_global_zero:
            return None
        keep = 0 if self.checkpoint is None else self.checkpoint.journal_bytes
        path = self.run / JOURNAL
        there = path.stat().st_size if path.exists() else 0
        return stack.enter_context(Journal(self.run, keep_bytes=min(keep, there)))

    def _open_board(self, stack: ExitStack) -> TensorBoard:
        wanted = self.parts.recipe.training.tensorboard and self.parts.fabric.is_global_zero
        board = TensorBoard(self.run, self.progress.step, wanted=wanted)
        stack.callback(board.close)
        return board

    def _note_start(self) -> None:
        if self.journal is None:
            return
        training = self.parts.recipe.training
        images = len(self.parts.sets.train)
        values = {
            "steps": self.parts.steps,
            "images": images,
            "epoch_steps": images / self.parts.images_per_step,
            "parameters": sum(parameter.numel() for parameter in self.parts.model.parameters()),
            "precision": training.precision,
            "channels_last": training.channels_last,
            "processes": self.parts.fabric.world_size,
        }
        kind = "start" if self.checkpoint is None else "resume"
        time = {"environment": environment(self.parts.fabric.device)}
        self.journal.append(kind, self.progress.step, values, time)

    def _finish(self) -> None:
        self._save()
        if self.journal is not None:
            values = {
                "epoch": self.parts.epoch(self.progress.step),
                "reason": "early_stopping" if self.progress.step < self.parts.steps else "finished",
                "best": {"step": self.progress.best_step, "miou": self.progress.best_miou},
            }
            self.journal.append(
                "end", self.progress.step, values, {"seconds": monotonic() - self.began}
            )
            self.journal.sync()

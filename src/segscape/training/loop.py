"""The training loop: steps, evaluations, checkpoints, and nothing that a resumed run lacks.

Everything that happens is a function of the recipe, the images and the number of steps done. The
loop therefore keeps no state but weights, optimizer and `Progress`, and continues a run killed at
any instant to the same bits: what happened after the last checkpoint happens again.
"""

import shutil
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic

import torch
import torch.distributed as distributed

from segscape.ops.allocator import keep_freed_memory
from segscape.ops.processes import process_count
from segscape.structures import SegscapeError
from segscape.training.assembly import Assembly, assemble, cached_sets
from segscape.training.checkpoint import (
    LAST,
    Checkpoint,
    Progress,
    has_checkpoint,
    load_checkpoint,
    refuse_another,
)
from segscape.training.data_loading import TrainingLoader
from segscape.training.data_sets import open_sets
from segscape.training.devices import on_first_process, open_fabric
from segscape.training.hardware import choose
from segscape.training.interruption import Interrupted, Interruption, remembered_signals
from segscape.training.journal import read_journal
from segscape.training.optimizer_step import take_step
from segscape.training.parts import check_recipe
from segscape.training.progress_display import Display, Silence, display
from segscape.training.recipe import Recipe
from segscape.training.run_folder import begin, decided, refuse_existing, saved_recipe, settled
from segscape.training.run_writer import RunWriter
from segscape.training.time_budget import within_minutes
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
    keep_freed_memory()
    check_recipe(recipe)
    sets = open_sets(recipe)
    fabric = open_fabric()

    def settle() -> Recipe:
        refuse_existing(run, resume=resume)
        saved = saved_recipe(run)
        if saved is None:
            return decided(recipe, choose(fabric.device))
        return settled(recipe, saved, run)

    recipe = on_first_process(fabric, settle)
    fabric = open_fabric(recipe.training.precision)
    sets = cached_sets(recipe, sets)
    if recipe.training.minutes is not None:
        recipe = within_minutes(recipe, fabric, sets)
    parts = assemble(recipe, fabric, sets, is_begun=has_checkpoint(run))
    # Nothing is written before everything is known to fit together.
    is_new = not run.exists()
    on_first_process(fabric, lambda: begin(run, recipe))
    checkpoint = load_checkpoint(run / LAST) if has_checkpoint(run) else None
    if checkpoint is not None:
        refuse_another(run / LAST, checkpoint.identity, parts.identity)
        parts.restore(checkpoint, run / LAST)
        if _is_finished(run, checkpoint):
            return Trained(run, checkpoint.progress, was_finished=True)
    try:
        return _Session(parts, run, checkpoint, quiet=quiet).go_on()
    except SegscapeError:
        # Without a checkpoint there is nothing to go on from: the corrected command wants the name.
        if is_new and fabric.is_global_zero and not has_checkpoint(run):
            shutil.rmtree(run, ignore_errors=True)
        raise


def _is_finished(run: Path, checkpoint: Checkpoint) -> bool:
    records = read_journal(run)
    last = (records[-1]["kind"], records[-1]["step"]) if records else None
    return last == ("end", checkpoint.progress.step)


class _Session:
    """From the last checkpoint, if any, to the end or an interruption."""

    def __init__(
        self, parts: Assembly, run: Path, checkpoint: Checkpoint | None, *, quiet: bool
    ) -> None:
        self.parts, self.run, self.checkpoint = parts, run, checkpoint
        self.progress = Progress() if checkpoint is None else checkpoint.progress
        self.quiet = quiet or not parts.fabric.is_global_zero

    def go_on(self) -> Trained:
        """Train until the end."""
        training, steps = self.parts.recipe.training, self.parts.steps
        evaluations = training.evaluation_steps(len(self.parts.sets.train))
        with ExitStack() as stack:
            signals = stack.enter_context(remembered_signals())
            writer = stack.enter_context(RunWriter(self.parts, self.run, self.checkpoint))
            shown = Silence() if self.quiet else display(steps, self.progress.step)
            stack.enter_context(shown)
            loader = self.parts.loader(self.progress.step)
            stack.callback(loader.close)
            while True:
                step = self.progress.step
                if step in evaluations and self.progress.evaluated != step:
                    self._evaluate(loader, writer, shown)
                if step >= steps or self._is_stale():
                    break
                self._step(loader, writer, shown)
                self._stop_if_asked(signals, writer)
                if monotonic() - writer.saved >= training.checkpoint_seconds:
                    writer.save(self.progress)
            writer.finish(self.progress)
        return Trained(self.run, self.progress)

    def _is_stale(self) -> bool:
        patience = self.parts.recipe.training.early_stopping
        return patience is not None and self.progress.stale >= patience

    def _step(self, loader: TrainingLoader, writer: RunWriter, shown: Display) -> None:
        began, step = monotonic(), self.progress.step
        result = take_step(self.parts, loader, step)
        self.progress = replace(self.progress, step=step + 1)
        writer.step(step + 1, result, monotonic() - began)
        shown.step(step + 1, result.loss)

    def _evaluate(self, loader: TrainingLoader, writer: RunWriter, shown: Display) -> None:
        parts, before, step = self.parts, self.progress, self.progress.step
        time, began = loader.waiting(), monotonic()
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
        time["seconds"] = monotonic() - began
        is_best = before.best_step < 0 or (found.miou or 0.0) > (before.best_miou or 0.0)
        self.progress = replace(
            before,
            evaluated=step,
            best_step=step if is_best else before.best_step,
            best_miou=found.miou if is_best else before.best_miou,
            stale=0 if is_best else before.stale + 1,
        )
        writer.evaluation(step, found, time, is_best=is_best)
        shown.evaluation(step, parts.epoch(step), found.loss, found.miou, best=is_best)
        if is_best:
            writer.save_best(self.progress)
        loader.start_clock()

    def _stop_if_asked(self, signals: Interruption, writer: RunWriter) -> None:
        number = signals.number
        if process_count() > 1:  # one process may have heard the signal a step before another
            heard = torch.tensor(number, device=self.parts.fabric.device)
            distributed.all_reduce(heard, distributed.ReduceOp.MAX)
            number = int(heard)
        if number:
            writer.save(self.progress)
            raise Interrupted(number, self.progress.step)

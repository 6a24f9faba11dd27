"""The same numbers for TensorBoard, when a recipe asks for it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from segscape.structures import RecipeError


class TensorBoard:
    """Scalars by step; does nothing unless wanted.

    Args:
        run: the run folder; event files go to `tensorboard` in it.
        step: what was written beyond this step, before an interruption, is hidden.
        wanted: the recipe's `training.tensorboard`.

    Raises:
        RecipeError: when it is wanted and not installed.
    """

    def __init__(self, run: Path, step: int, *, wanted: bool) -> None:
        self._writer: Any = None
        if not wanted:
            return
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise RecipeError(
                "training.tensorboard: TensorBoard is not installed: pip install tensorboard, or "
                "set it to false (the journal and the report hold the same curves)"
            ) from error
        self._writer = SummaryWriter(str(run / "tensorboard"), purge_step=step + 1)

    def add(self, group: str, step: int, values: Mapping[str, float | None]) -> None:
        """Write scalars; None is left out."""
        if self._writer is not None:
            for name, value in values.items():
                if value is not None:
                    self._writer.add_scalar(f"{group}/{name}", value, step)

    def close(self) -> None:
        """Write what is buffered."""
        if self._writer is not None:
            self._writer.close()

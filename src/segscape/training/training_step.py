"""One forward pass with its loss, the same for any number of processes."""

import torch
import torch.distributed as distributed
from jaxtyping import Float
from torch import Tensor, nn

from segscape.models.semantic_model import SemanticModel
from segscape.ops.processes import process_count
from segscape.training.training_batch import TrainingBatch


class TrainingStep(nn.Module):
    """Model and losses in one forward, so that DDP and compile see the whole.

    Args:
        model: what is trained.
        channels_last: memory layout of the images.
    """

    def __init__(self, model: SemanticModel, *, channels_last: bool) -> None:
        super().__init__()
        self.model = model
        self.channels_last = channels_last

    def forward(self, batch: TrainingBatch) -> dict[str, Float[Tensor, ""]]:
        """The named terms of the loss of the whole batch, over all processes."""
        outputs = self.model(batch.images(channels_last=self.channels_last))
        return self.model.losses(outputs, batch.target())


def padded_alike(batch: TrainingBatch) -> TrainingBatch:
    """Pad to the largest height and width of all processes' batches, as one process would."""
    if process_count() == 1:
        return batch
    largest = torch.tensor(batch.pixels.shape[2:], device=batch.pixels.device)
    distributed.all_reduce(largest, distributed.ReduceOp.MAX)
    return batch.padded(int(largest[0]), int(largest[1]))

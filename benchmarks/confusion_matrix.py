"""Count one Cityscapes image, 1024 x 2048 pixels and 19 classes, against torchmetrics."""

import torch
from torch import Tensor
from torchmetrics.classification import MulticlassConfusionMatrix
from torchmetrics.functional.classification import multiclass_confusion_matrix

from benchmarks.measure import Comparison, compare
from segscape.metrics.confusion import ConfusionMatrix, confusion_counts
from segscape.structures import Taxonomy

HEIGHT, WIDTH, CLASSES, IGNORE = 1024, 2048, 19, 255


def label_maps() -> tuple[Tensor, Tensor]:
    """A prediction and a truth with patches as real ones have, a tenth wrong and 5 % void."""
    generator = torch.Generator().manual_seed(0)

    def patches(side: int) -> Tensor:
        coarse = torch.randint(CLASSES, (HEIGHT // side, WIDTH // side), generator=generator)
        return coarse.repeat_interleave(side, 0).repeat_interleave(side, 1)

    truth = patches(32)
    wrong = torch.rand(HEIGHT // 8, WIDTH // 8, generator=generator) < 0.1
    wrong = wrong.repeat_interleave(8, 0).repeat_interleave(8, 1)
    prediction = torch.where(wrong, patches(8), truth)
    truth[torch.rand(HEIGHT, WIDTH, generator=generator) < 0.05] = IGNORE
    return prediction, truth


def run() -> list[Comparison]:
    """Compare updates for labels of 8 and of 64 bits, and the bare counting."""
    prediction, truth = label_maps()
    results: list[Comparison] = []
    for type_ in (torch.uint8, torch.int64):
        called, true = prediction.to(type_), truth.to(type_)

        def update(called: Tensor = called, true: Tensor = true) -> Tensor:
            matrix = ConfusionMatrix(Taxonomy.from_names([f"class {i}" for i in range(CLASSES)]))
            matrix.update(called, true, "image")
            return matrix.total()[:, :CLASSES]

        def count(called: Tensor = called, true: Tensor = true) -> Tensor:
            return confusion_counts(called, true, CLASSES, IGNORE)[:, :CLASSES]

        def functional(called: Tensor = called, true: Tensor = true) -> Tensor:
            return multiclass_confusion_matrix(called, true, CLASSES, ignore_index=IGNORE)

        bits = str(type_).removeprefix("torch.")
        for checked in (True, False):
            # A fresh one each time, as ours: torchmetrics' state adds up over updates.
            def metric(
                called: Tensor = called, true: Tensor = true, checked: bool = checked
            ) -> Tensor:
                peer = MulticlassConfusionMatrix(
                    CLASSES, ignore_index=IGNORE, validate_args=checked
                )
                peer.update(called, true)
                return peer.confmat

            how = "checked" if checked else "unchecked"
            results.append(
                compare(
                    update,
                    metric,
                    name=f"confusion matrix update, {bits}, peer {how}",
                    check=torch.equal,
                )
            )
        results.append(
            compare(count, functional, name=f"confusion matrix function, {bits}", check=torch.equal)
        )
    return results

"""Training as a whole: what it leaves, how it stops, and that it goes on to the same bits."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tests.support.training_runs import (
    IMAGES,
    assert_same_outcome,
    outcome,
    tiny_recipe,
    train_here,
)
from torch import Tensor, nn

from segscape.models.model_files import load_model, read_description
from segscape.structures import (
    CheckpointError,
    LabelMap,
    OutputError,
    RecipeError,
    Sample,
    SegscapeWarning,
    TrainingError,
)
from segscape.training import data_sets, loop
from segscape.training.journal import read_journal
from segscape.training.recipe import Recipe, read_recipe


def test_a_run_leaves_what_the_architecture_says(finished):
    files = {str(file.relative_to(finished)) for file in finished.rglob("*") if file.is_file()}
    assert {
        "recipe.yaml",
        "journal.jsonl",
        "checkpoints/last/state.json",
        "checkpoints/best/state.json",
        "model/model.safetensors",
        "model/model.json",
        "previews/first_batch.png",
        "previews/step_000003_0.png",
    } <= files
    assert not [file for file in files if ".part" in file or ".old" in file]
    assert read_recipe(finished) == tiny_recipe()
    records = read_journal(finished)
    kinds = [record["kind"] for record in records]
    assert kinds.count("step") == 4 * IMAGES // 4
    assert [record["step"] for record in records if record["kind"] == "evaluation"] == [3, 5, 8, 10]
    assert (kinds[0], kinds[-1]) == ("start", "end")
    assert 0 <= records[kinds.index("evaluation")]["time"]["data_wait"] <= 1


def test_the_model_folder_holds_the_best_average(finished):
    best = outcome(finished)["files"]["checkpoints/best/average.safetensors"]
    model = load_model(finished / "model").state_dict()
    assert model.keys() == best.keys()
    assert all(torch.equal(model[name], best[name]) for name in best)


def test_it_learns(tmp_path):
    recipe = tiny_recipe(epochs=None, steps=100, evaluate_every=100, ema=None)
    fast = recipe.optimizer.model_validate({"name": "adamw", "learning_rate": 0.01})
    train_here(recipe.model_copy(update={"optimizer": fast}), tmp_path / "run")
    losses = [r["loss"] for r in read_journal(tmp_path / "run") if r["kind"] == "step"]
    assert sum(losses[-5:]) < 0.85 * sum(losses[:5])


def test_slow_running_statistics_keep_up_with_a_short_run(tmp_path):
    """MobileNetV3 as torchvision has it keeps 0.99 of its statistics at each step."""
    recipe = tiny_recipe(epochs=None, steps=30, evaluate_every=30, ema=None)
    options = {"name": "torchvision_fcn", "encoder": "mobilenet_v3_large", "auxiliary": False}
    model = recipe.model.model_validate(options)
    train_here(recipe.model_copy(update={"model": model}), tmp_path / "run")
    weights = load_file(tmp_path / "run" / "model" / "model.safetensors")
    variances = [value for name, value in weights.items() if name.endswith("running_var")]
    assert min(float(value.median()) for value in variances) < 0.1  # of 1 at the beginning


def test_workers_and_frequent_checkpoints_do_not_change_a_bit(finished, tmp_path):
    train_here(tiny_recipe(workers=2, checkpoint_seconds=0), tmp_path / "run")
    assert_same_outcome(finished, tmp_path / "run")


def test_a_finished_run_says_so_and_changes_nothing(finished):
    before = (finished / "journal.jsonl").read_bytes()
    assert train_here(tiny_recipe(), finished, resume=True).was_finished
    assert (finished / "journal.jsonl").read_bytes() == before


def test_an_existing_run_is_refused_with_the_cure(finished):
    with pytest.raises(OutputError, match="--resume"):
        train_here(tiny_recipe(), finished)


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    for resume in (False, True):
        with pytest.raises(OutputError, match="no run folder"):
            train_here(tiny_recipe(), tmp_path, resume=resume)
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.tex"]


def test_another_recipe_is_refused_naming_the_key(finished):
    with pytest.raises(CheckpointError, match=r"training\.ema = 0\.9, asked is 0\.8"):
        train_here(tiny_recipe(ema=0.8), finished, resume=True)


def test_a_checkpoint_of_other_images_is_refused(finished):
    recipe = tiny_recipe()
    fewer = recipe.data.model_copy(update={"train": "synthetic:count=9,height=48,width=48,seed=0"})
    with pytest.raises(CheckpointError, match=r"data\.train = 10 images"):
        train_here(recipe.model_copy(update={"data": fewer}), finished, resume=True)


def test_a_damaged_checkpoint_is_one_line(finished, tmp_path):
    import shutil

    shutil.copytree(finished, tmp_path / "run")
    weights = tmp_path / "run/checkpoints/last/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="damaged") as caught:
        train_here(tiny_recipe(), tmp_path / "run", resume=True)
    assert "\n" not in str(caught.value)


def test_wrong_options_leave_no_folder(tmp_path):
    recipe = tiny_recipe()
    model = recipe.model.model_copy(update={"name": "unte"})
    with pytest.raises(RecipeError, match="did you mean 'unet'"):
        train_here(recipe.model_copy(update={"model": model}), tmp_path / "run")
    with pytest.raises(RecipeError, match="fp16 needs a CUDA GPU"):
        train_here(tiny_recipe(precision="fp16"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_auto_is_decided_once_and_kept(tmp_path):
    recipe = tiny_recipe(precision="auto", channels_last="auto", epochs=None, steps=1)
    train_here(recipe, tmp_path / "run")
    kept = read_recipe(tmp_path / "run").training
    assert kept.precision in ("fp32", "bf16")
    assert isinstance(kept.channels_last, bool)
    assert train_here(recipe, tmp_path / "run", resume=True).was_finished


class _Disturbed:
    """The scenes of a recipe with something done to each."""

    def __init__(self, dataset, change):
        self._dataset, self._change = dataset, change

    def __getattr__(self, name):
        return getattr(self._dataset, name)

    @property
    def taxonomy(self):
        return self._dataset.taxonomy

    @property
    def keys(self):
        return self._dataset.keys

    def size(self, index):
        return self._dataset.size(index)

    def __len__(self):
        return len(self._dataset)

    def __getitem__(self, index):
        return self._change(self._dataset[index])


def _disturb(monkeypatch, change) -> None:
    real = data_sets.open_sets

    def disturbed(recipe: Recipe) -> data_sets.Sets:
        sets = real(recipe)
        return data_sets.Sets(_Disturbed(sets.train, change), sets.val)

    monkeypatch.setattr(loop, "open_sets", disturbed)


def test_all_void_batches_cost_nothing_and_training_goes_on(tmp_path, monkeypatch):
    def void(sample: Sample[LabelMap]) -> Sample[LabelMap]:
        labels = torch.full_like(sample.target.labels, sample.target.taxonomy.ignore_id)
        return Sample(sample.image, LabelMap(labels, sample.target.taxonomy), sample.key)

    _disturb(monkeypatch, void)
    done = train_here(tiny_recipe(epochs=None, steps=3), tmp_path / "run")
    assert done.progress.step == 3
    losses = [r["loss"] for r in read_journal(tmp_path / "run") if r["kind"] == "step"]
    assert losses == [0.0, 0.0, 0.0]


def test_an_infinite_loss_names_the_samples_and_overwrites_nothing(tmp_path, monkeypatch):
    from segscape.training import training_step

    recipe = tiny_recipe(checkpoint_seconds=0)
    real, calls = training_step.TrainingStep.forward, []

    def poisoned(self: Any, batch: Any) -> dict[str, Tensor]:
        calls.append(batch.keys)
        terms = real(self, batch)
        return terms if len(calls) < 5 else {**terms, "dice": terms["dice"] * float("nan")}

    with monkeypatch.context() as patch:
        patch.setattr(training_step.TrainingStep, "forward", poisoned)
        with pytest.raises(TrainingError, match=r"step 5: the loss") as caught:
            train_here(recipe, tmp_path / "run")
    assert all(key in str(caught.value) for key in calls[-1])
    assert "dice nan" in str(caught.value)
    saved = outcome(tmp_path / "run")
    assert saved["state"]["step"] == 4
    assert all(
        bool(tensor.isfinite().all())
        for tensor in saved["files"]["checkpoints/last/model.safetensors"].values()
    )


def test_an_infinite_gradient_of_a_finite_loss_is_caught(tmp_path, monkeypatch):
    from segscape.training import training_step

    real = training_step.TrainingStep.forward

    def poisoned(self: Any, batch: Any) -> dict[str, Tensor]:
        terms = real(self, batch)
        weight = next(self.parameters()).flatten()[0]
        zero = (weight - weight.detach()).abs().sqrt()  # 0 with an infinite derivative
        return {**terms, "trap": zero}

    monkeypatch.setattr(training_step.TrainingStep, "forward", poisoned)
    with pytest.raises(TrainingError, match="the gradient is not a finite number"):
        train_here(tiny_recipe(), tmp_path / "run")
    assert not (tmp_path / "run/checkpoints").exists()


def test_an_unreadable_file_surfaces_from_a_worker_as_its_own_error(tmp_path, monkeypatch):
    from segscape.structures import ImageFileError

    def broken(sample: Sample[LabelMap]) -> Sample[LabelMap]:
        if sample.key.endswith("3"):
            raise ImageFileError(f"{sample.key}.jpg: truncated: replace the file")
        return sample

    _disturb(monkeypatch, broken)
    recipe = tiny_recipe(workers=1)
    data = recipe.data.model_copy(update={"cache": False})
    losses = (recipe.losses[1],)
    recipe = recipe.model_copy(update={"data": data, "losses": losses})
    with pytest.raises(ImageFileError, match=r"^train-00003\.jpg: truncated: replace the file$"):
        train_here(recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()  # no checkpoint yet, so the name is free again


def test_early_stopping(tmp_path):
    recipe = tiny_recipe(epochs=30, early_stopping=2, ema=None)
    optimizer = recipe.optimizer.model_copy(update={"encoder_learning_rate_factor": 0.0})
    still = optimizer.model_validate({"name": "sgd", "learning_rate": 0.0, "weight_decay": 0.0})
    done = train_here(recipe.model_copy(update={"optimizer": still}), tmp_path / "run")
    records = read_journal(tmp_path / "run")
    assert records[-1]["reason"] == "early_stopping"
    assert done.progress.stale == 2
    assert done.progress.step < 75


def test_start_from_other_weights(finished, tmp_path):
    recipe = tiny_recipe(epochs=None, steps=1)
    train_here(recipe.model_copy(update={"weights": str(finished)}), tmp_path / "warm")
    train_here(recipe, tmp_path / "cold")
    warm, cold = (
        next(r["loss"] for r in read_journal(tmp_path / name) if r["kind"] == "step")
        for name in ("warm", "cold")
    )
    assert warm < cold


def train_until(monkeypatch: pytest.MonkeyPatch, end: int, recipe: Recipe, out: Path) -> None:
    """Train, and be interrupted before a step."""
    real = loop.take_step

    def stopped(parts: Any, loader: Any, step: int) -> Any:
        if step == end:
            raise KeyboardInterrupt
        return real(parts, loader, step)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "take_step", stopped)
        with pytest.raises(KeyboardInterrupt):
            train_here(recipe, out)


def test_continuing_needs_no_weights_to_begin_with(finished, tmp_path, monkeypatch):
    theirs = tmp_path / "theirs"
    shutil.copytree(finished / "model", theirs)
    recipe = tiny_recipe(epochs=None, steps=2, checkpoint_seconds=0)
    recipe = recipe.model_copy(update={"weights": str(theirs)})
    train_here(recipe, tmp_path / "whole")
    train_until(monkeypatch, 1, recipe, tmp_path / "run")
    shutil.rmtree(theirs)
    train_here(recipe, tmp_path / "run", resume=True)
    assert_same_outcome(tmp_path / "whole", tmp_path / "run")


@pytest.mark.parametrize("ema", [None, 0.9])
def test_frozen_batch_norms_stay_to_the_bit_over_steps_evaluations_and_a_resume(
    finished, tmp_path, monkeypatch, ema
):
    recipe = tiny_recipe(
        epochs=None, steps=4, ema=ema, freeze_batch_norm=True, checkpoint_seconds=0
    )
    recipe = recipe.model_copy(update={"weights": str(finished)})
    train_here(recipe, tmp_path / "whole")
    begun = load_model(finished / "model")
    held = {
        f"{name}.{part}"
        for name, module in begun.named_modules()
        if isinstance(module, nn.BatchNorm2d)
        for part in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    }
    assert held
    before = begun.state_dict()
    last = tmp_path / "whole/checkpoints/last"
    for file in ("model", "average") if ema else ("model",):
        after = load_file(last / f"{file}.safetensors")
        changed = {name for name in before if not torch.equal(after[name], before[name])}
        assert changed == before.keys() - held - {"mean", "std"}
    moments = {name.split("|")[0] for name in load_file(last / "optimizer.safetensors")}
    assert moments == before.keys() - held - {"mean", "std"}
    train_until(monkeypatch, 3, recipe, tmp_path / "run")  # after the first evaluation
    train_here(recipe, tmp_path / "run", resume=True)
    assert_same_outcome(tmp_path / "whole", tmp_path / "run")


def test_freezing_statistics_of_no_images_is_refused(tmp_path):
    with pytest.raises(RecipeError, match=r"freeze_batch_norm: .* begins at random"):
        train_here(tiny_recipe(freeze_batch_norm=True), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_weights_of_other_categories_are_said(finished, tmp_path):
    theirs = tmp_path / "theirs"
    shutil.copytree(finished / "model", theirs)
    file = theirs / "model.json"
    name = read_description(theirs)["taxonomy"]["categories"][1]["name"]
    file.write_text(file.read_text().replace(f'"{name}"', '"elephant"'))
    recipe = tiny_recipe(epochs=None, steps=1).model_copy(update={"weights": str(theirs)})
    with pytest.warns(SegscapeWarning, match=f"1 is 'elephant' there and '{name}' here"):
        train_here(recipe, tmp_path / "run")


def test_weights_of_another_architecture_are_refused_before_a_folder_is_made(finished, tmp_path):
    plain = {"name": "unet", "encoder": "plain4", "depth": 2, "decoder_channels": [8]}
    recipe = tiny_recipe().model_copy(
        update={"model": tiny_recipe().model.model_validate(plain), "weights": str(finished)}
    )
    with pytest.raises(CheckpointError, match="start from the same architecture"):
        train_here(recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()

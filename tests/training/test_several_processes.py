"""Several processes, or several micro-batches, train like one."""

import os
from pathlib import Path

import pytest
from tests.support.processes import run_in_processes
from tests.support.training_runs import tiny_recipe, train_here

from segscape.training.journal import read_journal
from segscape.training.recipe import Recipe


def _sgd(recipe: Recipe) -> Recipe:
    """Adam divides by the size of gradients, and so enlarges rounding errors of tiny ones."""
    entry = recipe.optimizer.model_validate({"name": "sgd", "learning_rate": 0.02})
    return recipe.model_copy(update={"optimizer": entry})


def _train_as_one_of_two(rank: int, world: int, text: str, out: str) -> None:
    import json

    torch_run = {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(world),
        "LOCAL_WORLD_SIZE": str(world),
        "GROUP_RANK": "0",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": "29511",
        "TORCHELASTIC_RUN_ID": "test",
    }
    before = {name: os.environ.get(name) for name in torch_run}
    os.environ.update(torch_run)
    try:
        train_here(Recipe.from_mapping(json.loads(text)), Path(out))
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value


# With a batch of two each process has one image, as small as the encoder's coarsest pixel: norms of
# two values there enlarge rounding errors at every step, so only the first steps can agree.
@pytest.mark.parametrize(("batch_size", "compared"), [(4, None), (2, 2)])
def test_two_processes_equal_one_for_the_same_global_batch(tmp_path, batch_size, compared):
    recipe = _sgd(tiny_recipe(clip_norm=5.0, batch_size=batch_size, epochs=2))
    train_here(recipe, tmp_path / "one")
    run_in_processes(_train_as_one_of_two, recipe.model_dump_json(), str(tmp_path / "two"))
    one, two = (read_journal(tmp_path / name) for name in ("one", "two"))
    assert (one[0]["processes"], two[0]["processes"]) == (1, 2)
    for kind in ("step",) if compared else ("step", "evaluation"):
        losses = [[r["loss"] for r in run if r["kind"] == kind][:compared] for run in (one, two)]
        assert losses[0] == pytest.approx(losses[1], rel=1e-5, abs=1e-5)
    if compared:
        return
    scores = [[r["miou"] for r in run if r["kind"] == "evaluation"] for run in (one, two)]
    assert scores[0] == pytest.approx(scores[1], abs=2e-3)


def test_accumulation_without_norms_equals_the_large_batch(tmp_path):
    """One step of two micro-batches of 2 moves like one of 4: per image, norms aside."""
    large = _sgd(tiny_recipe(epochs=None, steps=2, batch_size=4))
    small = _sgd(tiny_recipe(epochs=None, steps=2, batch_size=2, accumulate=2))
    for name, recipe in (("large", large), ("small", small)):
        train_here(recipe, tmp_path / name)
    one, two = (read_journal(tmp_path / name) for name in ("large", "small"))
    assert [r["epoch"] for r in one if r["kind"] == "step"] == [
        r["epoch"] for r in two if r["kind"] == "step"
    ]
    # Batch norms see other batches and Dice is not a mean over images: close, not equal.
    first = [next(r["loss"] for r in run if r["kind"] == "step") for run in (one, two)]
    assert first[0] == pytest.approx(first[1], rel=0.1)

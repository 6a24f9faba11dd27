import pytest
from tests.support.training_runs import assert_same_outcome, tiny_recipe, train_here

from segscape.structures import CheckpointError, RecipeError
from segscape.training import time_budget
from segscape.training.recipe import Training, read_recipe
from segscape.training.time_budget import steps_that_fit


@pytest.mark.parametrize("seconds", [0.01, 0.7, 40.0])
@pytest.mark.parametrize("evaluation", [0.0, 3.0])
def test_steps_and_their_evaluations_fill_the_minutes_and_no_more(seconds, evaluation):
    training = Training(minutes=5, batch_size=4, evaluate_every=2)
    steps = steps_that_fit(training, images=30, step_seconds=seconds, evaluation_seconds=evaluation)
    of_steps = Training(steps=steps, batch_size=4, evaluate_every=2)
    evaluations = len(of_steps.evaluation_steps(30))
    taken = steps * seconds + evaluations * evaluation
    assert taken <= 300
    assert 300 - taken <= seconds + 2 * evaluation


def test_there_is_always_one_step():
    training = Training(minutes=0.01)
    assert steps_that_fit(training, images=9, step_seconds=60.0, evaluation_seconds=60.0) == 1


def test_a_run_of_minutes_is_a_run_of_steps(tmp_path, monkeypatch):
    """What is tried first leaves no trace in the run."""
    monkeypatch.setattr(time_budget, "steps_that_fit", lambda *_, **__: 5)
    asked = tiny_recipe(epochs=None, minutes=1.0)
    train_here(asked, tmp_path / "minutes")
    train_here(tiny_recipe(epochs=None, steps=5), tmp_path / "steps")
    assert_same_outcome(tmp_path / "steps", tmp_path / "minutes")
    saved = read_recipe(tmp_path / "minutes").training
    assert (saved.minutes, saved.steps) == (None, 5)


def test_continuing_measures_nothing_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(time_budget, "steps_that_fit", lambda *_, **__: 4)
    asked = tiny_recipe(epochs=None, minutes=1.0)
    train_here(asked, tmp_path / "run")
    monkeypatch.delattr(time_budget, "steps_that_fit")
    assert train_here(asked, tmp_path / "run", resume=True).was_finished
    with pytest.raises(CheckpointError):
        train_here(tiny_recipe(epochs=2), tmp_path / "run", resume=True)


def test_the_measured_time_is_kept_to_roughly(tmp_path):
    recipe = tiny_recipe(epochs=None, minutes=0.05, checkpoint_seconds=60)
    done = train_here(recipe, tmp_path / "run")
    assert done.progress.step >= 2


def test_minutes_without_a_measure_are_no_steps():
    with pytest.raises(RecipeError, match="give steps or epochs"):
        Training(minutes=1).total_steps(10)

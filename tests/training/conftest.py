from pathlib import Path

import pytest
from tests.support.training_runs import tiny_recipe, train_here


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Path:
    """An uninterrupted run without workers; tests must not change it."""
    run = tmp_path_factory.mktemp("runs") / "finished"
    train_here(tiny_recipe(), run)
    return run

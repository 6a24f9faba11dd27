"""Shape annotations are checked at run time in every test."""

from collections.abc import Iterator

import jaxtyping
import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

install_import_hook("segscape", "beartype.beartype")

# How long an example takes says more about the machine's load than about the code.
settings.register_profile("segscape", deadline=None)
settings.load_profile("segscape")


@pytest.fixture
def sizes_may_be_symbols() -> Iterator[None]:
    """While a network is traced its sizes are symbols, which the checker takes for no integers."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)

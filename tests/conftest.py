"""Shape annotations are checked at run time in every test."""

from hypothesis import settings
from jaxtyping import install_import_hook

install_import_hook("segscape", "beartype.beartype")

# How long an example takes says more about the machine's load than about the code.
settings.register_profile("segscape", deadline=None)
settings.load_profile("segscape")

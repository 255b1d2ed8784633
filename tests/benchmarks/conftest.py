"""A command line that runs in this process, with x64 mode put back afterwards."""

import jax
import matplotlib
import pytest

from benchmarks.__main__ import main

matplotlib.use("Agg")


@pytest.fixture
def cli():
    """``cli(*words)`` runs ``python -m benchmarks words``."""
    yield lambda *words: main([str(word) for word in words])
    jax.config.update("jax_enable_x64", False)

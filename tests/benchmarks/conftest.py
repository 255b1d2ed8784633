"""Runs in this process, with x64 mode put back afterwards."""

import jax
import matplotlib
import pytest

from benchmarks.__main__ import main

matplotlib.use("Agg")


@pytest.fixture
def x64_restored():
    """Puts x64 mode back, which a run sets."""
    yield
    jax.config.update("jax_enable_x64", False)


@pytest.fixture
def cli(x64_restored):
    """``cli(*words)`` runs ``python -m benchmarks words``."""
    return lambda *words: main([str(word) for word in words])

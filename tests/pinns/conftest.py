"""Small problems and networks, and trainings that take a second."""

import jax
import jax.numpy as jnp
import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from flax import nnx

from pinns import MLP, SingularlyPerturbedODE, fit

matplotlib.use("Agg")


@pytest.fixture
def ode():
    """The ODE with few points."""
    return SingularlyPerturbedODE(epsilon=2.0, num_points=24)


@pytest.fixture
def make_model():
    """``make_model(hidden, dtype=..., dim=...)``: a tanh network, always the same."""

    def make(hidden=(8, 8), *, dim=1, dtype=jnp.float32):
        return MLP(dim, list(hidden), 1, dtype=dtype, rngs=nnx.Rngs(0))

    return make


@pytest.fixture
def train(ode, make_model):
    """``train(optimizer, num_steps, **options)``: a silent training of a small network on the ODE."""

    def run(optimizer, num_steps=12, *, problem=ode, model=None, seed=0, **options):
        options = {"key": jax.random.key(seed), "progress": False} | options
        return fit(problem, model or make_model(), optimizer, num_steps=num_steps, **options)

    return run


@pytest.fixture
def assert_equal():
    """``assert_equal(a, b)``: two trees hold the same numbers, bit for bit."""

    def check(a, b):
        assert jax.tree.structure(a) == jax.tree.structure(b)
        for left, right in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
            np.testing.assert_array_equal(left, right)

    return check


@pytest.fixture
def no_open_figures():
    """Fails where a test leaves figures open."""
    plt.close("all")
    yield
    assert plt.get_fignums() == []

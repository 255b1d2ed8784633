"""What the cases of public trackers share: a seed, a network and the optimiser that the guides advise."""

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from isgd_optax import gauss_newton, implicit_step, largest_trusted
from pinns import MLP, Stop, fit


@pytest.fixture
def seed():
    """The seed of network and points."""
    return 0


@pytest.fixture
def network(seed, x64):
    """``network(dim, outputs, hidden=..., embedding=...)``: a tanh network in float64."""

    def make(dim, outputs=1, hidden=(30, 30, 30), **options):
        return MLP(dim, list(hidden), outputs, dtype=jnp.float64, rngs=nnx.Rngs(seed), **options)

    return make


@pytest.fixture
def solve(seed, x64):
    """``solve(problem, model, **options)``: Gauss–Newton, 300 steps or five minutes, silently."""

    def run(problem, model, *, num_steps=300, seconds=300.0, solver=None, momentum=None, **options):
        stop = {name: options.pop(name) for name in ("rel_l2", "fresh_loss") if name in options}
        solver = solver or gauss_newton()
        optimizer = implicit_step(
            solver, largest_trusted(), max_inner_steps=1, store_grad=True, momentum=momentum
        )
        options = {"sampling": "sobol", "evaluate_every": 10, "progress": False} | options
        stop = Stop(seconds=seconds, **stop)
        return fit(
            problem, model, optimizer, num_steps=num_steps, key=jax.random.key(seed), stop=stop, **options
        )

    return run

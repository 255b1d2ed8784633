"""What the user measures during a training."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pinns import Box, Condition, Problem, Scaled, Unknown, fit
from pinns._on_evaluation import plain_row

KEY = jax.random.key(0)


@dataclasses.dataclass(frozen=True)
class Rod(Problem):
    """u = k x on a rod of 300."""

    domain = Box((0.0,), (300.0,))

    def unknowns(self):
        return {"k": Unknown(5.0, positive=True)}

    def conditions(self):
        return {"a": Condition(self.residual, self.domain, 16)}

    def residual(self, u, x):
        return u(x) - u.unknowns["k"] * x


def test_what_is_measured_is_in_units_and_stays_in_the_history(make_model, tmp_path):
    """By a callback of three arguments, with arrays in columns of its own, in a folder of checkpoints."""
    seen = []

    def measure(history, model, result):
        x = jnp.array([75.0])
        unknowns = result.solution.unknowns, result.final["unknowns"]
        seen.append((model((x - 150) / 150).item(), result(x).item(), *unknowns))
        history[-1] |= {"twice": 2 * result(x), "count": np.float32(len(history)), "note": {"a": [None]}}
        assert (result.stop_reason, result.num_steps) == ("running", history[-1]["step"])
        assert "not ended" in result.stop_message

    problem = Scaled(Rod(), (600.0,), (("a", 1.0),))
    options = {"key": KEY, "progress": False, "evaluate_every": 1, "checkpoint_dir": tmp_path}
    result = fit(problem, make_model((4,)), optax.sgd(1e-9), num_steps=2, on_evaluation=measure, **options)
    model, solution, k, named = seen[-1]
    assert solution == pytest.approx(600 * model, rel=1e-5)
    assert solution == pytest.approx(result(jnp.array([75.0])).item())
    assert k["k"].item() == pytest.approx(named["k"], rel=1e-5)
    again = fit(problem, make_model((4,)), optax.sgd(1e-9), num_steps=2, **options)
    assert again.history == result.history
    steps, column = again.curve("twice")
    assert steps.tolist() == [0, 1, 2]
    assert np.isnan(column[0]).all()
    assert column[2, 0] == pytest.approx(2 * solution)
    assert again.curve("count")[1][1:].tolist() == [2.0, 3.0]


def test_a_column_that_no_file_takes_is_refused_by_name(train):
    message = "the column 'mine' that on_evaluation writes into the history must hold real numbers"
    assert plain_row({"mine": {1: 2.0}}) == {"mine": {"1": 2.0}}
    for value in (KEY, 1j, {(1, 2): 2.0}, [object()]):
        with pytest.raises(TypeError, match=message):
            plain_row({"mine": value})
    rows = []

    def write(history):
        rows.append(history[-1])
        history[-1]["mine"] = KEY

    with pytest.raises(TypeError, match=message):
        train(optax.sgd(0.1), 1, on_evaluation=write)
    assert "mine" not in rows[-1]  # which is still saved

"""What an object is: for runs on disk, and for comparing problems that hold arrays."""

import dataclasses
import os
import subprocess
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from isgd_optax import gauss_newton, implicit_step, isgd_adam, largest_trusted
from pinns import AdaptiveSampling, Box, Condition, FixedPoints, Problem
from pinns._identity import ByContent, digest, fingerprint


@dataclasses.dataclass(frozen=True)
class Fitted(Problem):
    values: np.ndarray
    domain = Box((0.0,), (1.0,))

    def conditions(self):
        return {"data": Condition(self.data, self.domain, 20)}

    def data(self, u, x):
        return u(x) - jnp.interp(x, jnp.linspace(0, 1, len(self.values)), jnp.asarray(self.values, x.dtype))


@pytest.mark.long
def test_a_problem_may_hold_arrays_and_they_belong_to_a_run(train, tmp_path, monkeypatch):
    one, other = Fitted(np.array([0.0, 1.0, 0.0])), Fitted(np.array([0.0, 1.0, 0.5]))
    options = {"checkpoint_dir": tmp_path, "checkpoint_seconds": 0.0}
    first = train(optax.adam(1e-2), 4, problem=one, **options)
    assert first.final["loss"] < first.history[0]["loss"]
    # It goes on in a terminal or notebook, where JAX colours what it prints, or anywhere else.
    monkeypatch.setattr("jax._src.pretty_printer.CAN_USE_COLOR", True)
    train(optax.adam(1e-2), 8, problem=Fitted(np.array([0.0, 1.0, 0.0])), **options)
    with pytest.raises(ValueError, match=r"holds another run: problem.values is .*float64\[3\].* there and"):
        train(optax.adam(1e-2), 12, problem=other, **options)


OPTIMIZERS = {
    "adam": lambda: optax.adam(1e-2),
    "adam, other rate": lambda: optax.adam(2e-2),
    "adam, other momentum": lambda: optax.adam(1e-2, b1=0.8),
    "schedule": lambda: optax.adam(optax.cosine_decay_schedule(1e-2, 100)),
    "schedule, longer": lambda: optax.adam(optax.cosine_decay_schedule(1e-2, 200)),
    "isgd": lambda: isgd_adam(0.5, num_implicit_steps=3, num_inner_steps=4),
    "isgd, other alpha": lambda: isgd_adam(0.6, num_implicit_steps=3, num_inner_steps=4),
    "gauss_newton": lambda: implicit_step(gauss_newton(), largest_trusted()),
    "gauss_newton, qr": lambda: implicit_step(gauss_newton(linear_solver="qr"), largest_trusted()),
    "gauss_newton, bound": lambda: implicit_step(gauss_newton(), largest_trusted(max_learning_rate=1e3)),
}


def test_optimizers_are_told_apart_by_their_settings():
    digests = {name: digest(list(make())) for name, make in OPTIMIZERS.items()}
    assert digests == {name: digest(list(make())) for name, make in OPTIMIZERS.items()}
    assert len(set(digests.values())) == len(OPTIMIZERS)


@pytest.mark.parametrize("name", ["adam, other rate", "gauss_newton", "isgd"])
def test_another_optimizer_is_refused_and_the_folder_unharmed(name, train, tmp_path, assert_equal):
    options = {"checkpoint_dir": tmp_path, "checkpoint_seconds": 0.0}
    first = train(optax.adam(1e-2), 4, **options)
    with pytest.raises(ValueError, match="holds another run: optimizer_settings"):
        train(OPTIMIZERS[name](), 8, **options)
    assert_equal(train(optax.adam(1e-2), 4, **options).params, first.params)


@pytest.mark.long
def test_the_setting_that_differs_is_named(train, tmp_path):
    solver = lambda rate: implicit_step(optax.adam(rate), 0.5, max_inner_steps=2)
    train(solver(1e-3), 2, checkpoint_dir=tmp_path)
    with pytest.raises(ValueError, match=r"optimizer_settings: step_size is -0\.001 there and -0\.01 here"):
        train(solver(1e-2), 2, checkpoint_dir=tmp_path)


@pytest.mark.parametrize("schedule", [optax.exponential_decay(1e-3, 10, 0.9), lambda n: 1e-3 / (1 + n)])
def test_a_schedule_belongs_to_a_run(schedule, train, tmp_path):
    train(optax.adam(schedule), 2, checkpoint_dir=tmp_path)
    train(optax.adam(schedule), 4, checkpoint_dir=tmp_path)
    with pytest.raises(ValueError, match="holds another run: optimizer"):
        train(optax.adam(lambda n: 1e-3 * (1 + n)), 6, checkpoint_dir=tmp_path)


@dataclasses.dataclass(frozen=True)
class Plain(Problem):
    """Its conditions and its equation come from ``given``, which no field holds."""

    domain = Box((0.0,), (1.0,))

    def conditions(self):
        data = Condition(self.data, given["data"], 5, given["weight"])
        return {"data": data, "pde": Condition(self.pde, self.domain, given["number"])}

    def data(self, u, point):
        return u(point["x"]) - point["value"]

    def pde(self, u, x):
        return jnp.asarray(given["factor"]) * u(x) - given["source"]


given: dict[str, Any] = {}
GIVEN = {
    "data": FixedPoints(np.linspace(0, 1, 5)[:, None], np.ones(5)),
    "weight": 1.0,
    "number": 20,
    "factor": np.array([1.0, 2.0]),
    "source": 1.0,
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": FixedPoints(np.linspace(0, 1, 5)[:, None], np.zeros(5))}, "conditions.data.region is"),
        ({"weight": 2.0}, "conditions.data.weight is 1.0 there and 2.0 here"),
        ({"number": 30}, "conditions.pde.num_points is 20 there and 30 here"),
        ({"factor": np.full(2, 2.0)}, "equation.pde is another"),
        ({"factor": np.array([2.0, 1.0])}, "equation.pde is another"),
        ({"source": 2.0}, "equation.pde is another"),
    ],
)
def test_what_conditions_and_residuals_take_from_outside_belongs_to_a_run(change, message, train, tmp_path):
    given.update(GIVEN)
    options = {"problem": Plain(), "checkpoint_dir": tmp_path}
    train(optax.adam(1e-2), 2, **options)
    train(optax.adam(1e-2), 4, **options)
    given.update(change)
    with pytest.raises(ValueError, match=message):
        train(optax.adam(1e-2), 6, **options)


@pytest.mark.slow
def test_a_second_optimizer_goes_on_from_the_first_ones_model(train, tmp_path):
    first = train(optax.adam(1e-2), 20, checkpoint_dir=tmp_path / "adam")
    second = train(OPTIMIZERS["gauss_newton"](), 5, model=first.model, checkpoint_dir=tmp_path / "gn")
    assert second.history[0]["loss"] == pytest.approx(first.final["loss"], rel=1e-6)


@pytest.mark.long
def test_fingerprints_are_the_same_in_another_process():
    code = (
        "import optax, numpy as np; from pinns import AdaptiveSampling, Poisson1D\n"
        "from pinns._identity import digest\n"
        "print(digest([list(optax.adam(1e-2)), AdaptiveSampling(), Poisson1D(), np.arange(3.0)]))"
    )
    run = lambda: subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    from pinns import Poisson1D

    here = digest([list(optax.adam(1e-2)), AdaptiveSampling(), Poisson1D(), np.arange(3.0)])
    assert run().stdout.strip() == here


def test_closures_that_hold_themselves_end():
    def outer():
        def inner(n):
            return n if n == 0 else inner(n - 1)

        return inner

    assert fingerprint(outer()) == fingerprint(outer())


def test_objects_are_compared_by_content():
    same, other = (ByContent(Fitted(np.array(v))) for v in ([1.0, 2.0], [1.0, 3.0]))
    assert same == ByContent(Fitted(np.array([1.0, 2.0])))
    assert hash(same) == hash(ByContent(Fitted(np.array([1.0, 2.0]))))
    assert same != other
    assert ByContent(jax.random.key(0)) != ByContent(jax.random.key(1))
    assert ByContent([jax.random.key(0)]) == ByContent([jax.random.key(0)])


LEVELS = [1.0, 2.0]


def _interpolating(level):
    return (
        (lambda s: jnp.interp(s, jnp.array([0, 10, 100]), jnp.array([1e-2, 1e-3, 1e-4])))
        if level
        else (lambda s: jnp.interp(s, jnp.array([0, 10, 100]), jnp.array([1e-2, 1e-3, 1.0])))
    )


def test_literals_of_lists_and_plain_globals_belong_to_a_function():
    """Several literals are one constant of a compiled function, and a global is none of it."""
    one, other = (fingerprint(_interpolating(level)) for level in (True, False))
    assert one["constants"] != other["constants"]
    function = lambda s: LEVELS[0] * s
    before = fingerprint(function)
    LEVELS[0] = 3.0
    assert fingerprint(function) != before
    LEVELS[0] = 1.0
    assert fingerprint(function) == before


@pytest.mark.long
def test_sets_and_nans_are_the_same_in_every_process():
    script = "from pinns._identity import digest; print(digest([{'a', 'b', 'c', 'd'}, float('nan')]))"
    found = {
        subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
        ).stdout
        for seed in (1, 2)
    }
    assert len(found) == 1
    assert fingerprint(float("nan")) == fingerprint(float("nan"))


def test_names_of_attributes_and_arguments_are_no_part_of_a_function():
    """A global of the same name as an attribute is another thing, as are the names of arguments."""
    function = lambda x: jnp.sum(x.LEVELS, axis=0, keepdims=True)
    assert "globals" not in fingerprint(function)
    assert fingerprint(function)["constants"] == ["0", "True"]

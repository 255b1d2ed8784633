"""What users mistake is said in their words, before anything is compiled."""

import dataclasses
import math
import re
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from isgd_optax import gauss_newton, implicit_step, largest_trusted
from pinns import (
    MLP,
    Box,
    Condition,
    FitWarning,
    FixedPoints,
    Problem,
    SingularlyPerturbedODE,
    plot_history,
    scaled,
    second_derivatives,
)

LINE = Box((0.0,), (1.0,))
VALUES = FixedPoints(np.ones((3, 1)), np.ones(3))


def problem_of(residual, region=LINE, **attributes):
    """A problem of one condition, ``"a"``."""
    conditions = {"a": Condition(residual, region, 5)}
    names = {"domain": LINE, "conditions": lambda self: conditions} | attributes
    return dataclasses.dataclass(frozen=True)(type("Given", (Problem,), names))()


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"stop": 3.0}, TypeError, "stop must be a Stop"),
        ({"weights": {"pde": 2.0}}, TypeError, "the weight of its Condition"),
        ({"key": 0}, TypeError, "key must be a JAX random key"),
        ({"evaluate_evry": 3}, TypeError, "no option evaluate_evry. Is evaluate_every meant"),
        ({"problem": SingularlyPerturbedODE}, TypeError, r"make one: SingularlyPerturbedODE\(\)"),
        ({"problem": problem_of(None, domain=VALUES)}, TypeError, "must be a Box.* got a FixedPoints"),
        ({"problem": problem_of(None, conditions=lambda self: {1: 2})}, TypeError, "need names.* got 1"),
        ({"problem": problem_of(None, conditions=lambda self: [1])}, TypeError, "conditions by name"),
        ({"problem": problem_of(None, conditions=lambda self: {"a": (1, 2)})}, TypeError, "got a tuple"),
        ({"problem": problem_of(lambda u, x: None)}, TypeError, "'a' must be an array.* it has no return"),
        ({"problem": problem_of(lambda u, x: (u(x), 0.0))}, TypeError, "'a' must be an array.* got a tuple"),
        ({"problem": problem_of(lambda u, x: u(x) == 0)}, TypeError, "'a' must be of real numbers, got bool"),
        (
            {"problem": problem_of(lambda u, x: u(x), output_names=("u", "v"))},
            ValueError,
            "2 outputs, u, v, and the network gives 1",
        ),
        (
            {"problem": problem_of(lambda u, x: u(x), exact=lambda self, x: jnp.ones(2))},
            ValueError,
            "as many outputs",
        ),
    ],
)
def test_arguments(changes, error, message, train):
    with pytest.raises(error, match=message):
        train(optax.adam(1e-2), 2, **changes)


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        (implicit_step, "Call it: implicit_step"),
        (3.0, r"optimizer must be an optax optimiser, e.g. optax\.adam\(1e-3\), got a float"),
    ],
)
def test_optimizers_that_are_not_called(optimizer, message, train):
    with pytest.raises(TypeError, match=message):
        train(optimizer, 2)


@pytest.mark.parametrize(
    ("residual", "region", "note"),
    [
        (lambda u, x: u(jnp.concatenate([x, x])), LINE, r"one point of shape \(1,\)"),
        (lambda u, x: u(jnp.concatenate([x, x])), VALUES, r"x\['x'\] is the point"),
        (lambda u, x: u(x) - np.sin(x), LINE, r"jax\.numpy"),
        (lambda u, x: u(x) * jnp.ones((1, 1)) - np.sin(x), LINE, r"jax\.numpy"),
        (lambda u, p: u(p["x"]) - np.ones(3)[p["value"].astype(int)], VALUES, r"jax\.numpy"),
        (lambda u, x: u(x) - [1.0, 2.0][x.astype(int)[0]], LINE, r"jnp\.asarray\(table\)"),
        (lambda u, x: u(x) - math.sin(x[0]), LINE, r"jnp\.sin for math\.sin"),
    ],
    ids=["shape", "values", "numpy", "ranks", "index of numpy", "index", "math"],
)
def test_a_residual_that_fails_is_named(residual, region, note, train):
    problem = problem_of(residual, region)
    with pytest.raises(TypeError) as caught, jax.numpy_rank_promotion("allow"):
        train(optax.adam(1e-2), 2, problem=problem)
    assert re.search(f"In the residual of condition 'a'.*{note}", "\n".join(caught.value.__notes__))


def test_a_residual_that_fails_is_named_by_scaled(make_model):
    with pytest.raises(TypeError) as caught:
        scaled(problem_of(lambda u, x: u(x) - np.sin(x)), make_model((2,)), jax.random.key(0))
    assert re.search(r"In the residual of condition 'a'\..*jax\.numpy", "\n".join(caught.value.__notes__))


def test_an_unknown_that_is_asked_for_as_an_attribute(train):
    problem = problem_of(lambda u, x: u.unknowns.k * u(x), unknowns=lambda self: {"k": 1.0})
    with pytest.raises(AttributeError) as caught:
        train(optax.adam(1e-2), 2, problem=problem)
    assert "chosen by name: u.unknowns['k']" in "".join(caught.value.__notes__)


def test_parts_of_a_problem():
    residual = lambda u, x: u(x)
    with pytest.raises(TypeError, match="region must be a Box"):
        Condition(residual, (1, 2), 5)
    with pytest.raises(TypeError, match="integer"):
        Condition(residual, LINE, 1e2)
    with pytest.raises(TypeError, match="coordinates of its corners"):
        Box(0.0, 1.0)
    with pytest.raises(ValueError, match="imaginary part"):
        FixedPoints(1j * np.ones((3, 1)))
    with pytest.raises(TypeError, match="hidden must be the widths"):
        MLP(1, 8, 1, rngs=nnx.Rngs(0))
    with pytest.raises(TypeError, match="activation must be a function"):
        MLP(1, [8], 1, activation="tanh", rngs=nnx.Rngs(0))


def test_results_are_drawn_and_read_by_name(train):
    result = train(optax.adam(1e-2), 2)
    with pytest.raises(TypeError, match="needs a name"):
        plot_history(result)
    with pytest.raises(KeyError, match=r"no row has an entry 'losss'; there are .*loss"):
        result.curve("losss")


def test_networks_may_take_other_coordinates_than_the_domains(train):
    problem = problem_of(
        lambda u, x: u["u"](x) - u["k"](x[:1]),
        Box((0.0, 0.0), (1.0, 1.0)),
        domain=Box((0.0, 0.0), (1.0, 1.0)),
    )
    networks = {"u": MLP(2, [4], 1, rngs=nnx.Rngs(0)), "k": MLP(1, [4], 1, rngs=nnx.Rngs(1))}
    assert train(optax.adam(1e-2), 2, problem=problem, model=networks).stop_reason == "num_steps"


def warnings_of(call):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = call()
    return result, [str(w.message) for w in caught if issubclass(w.category, FitWarning)]


@pytest.mark.long
def test_steps_that_are_never_accepted_are_said_once(train):
    solver = implicit_step(optax.sgd(1e-3), lambda n: jnp.where(n < 5, 1.0, 1e-6), max_inner_steps=1)
    result, said = warnings_of(lambda: train(solver, 60, evaluate_every=5))
    assert result.final["accepted"] == 0
    found = [text for text in said if "accepted" in text]
    assert len(found) == 1
    assert found[0].startswith("none of the steps 6 to 25 was accepted: at α = 1.0e-06 the inner solver")


def radial(u, x):
    """Its value is finite at x = 0, its derivative is not."""
    _, first, second = second_derivatives(u, x)
    return second[0] + jnp.where(x > 0, jnp.sqrt(first[0] ** 2 / x**2), second[0]) + 4.0


@pytest.mark.long
@pytest.mark.parametrize(
    "optimizer",
    [optax.adam(1e-2), implicit_step(gauss_newton(), largest_trusted(), max_inner_steps=1)],
    ids=["adam", "gauss_newton"],
)
def test_a_gradient_that_is_not_finite_is_told_by_condition(optimizer, train):
    problem = problem_of(radial, FixedPoints(np.linspace(0, 1, 41)[:, None]))
    result, said = warnings_of(lambda: train(optimizer, 40, problem=problem, evaluate_every=10))
    assert np.isfinite(result.final["loss"])
    assert any("the gradient of condition 'a' is not finite" in text for text in said)
    assert not any("max_learning_rate" in text for text in said)


def test_a_run_on_disk_that_is_further_than_asked_for_is_said(train, tmp_path):
    train(optax.adam(1e-2), 8, checkpoint_dir=tmp_path)
    result, said = warnings_of(lambda: train(optax.adam(1e-2), 4, checkpoint_dir=tmp_path))
    assert result.num_steps == 8
    assert any("has made 8 steps, more than num_steps=4" in text for text in said)
    assert jax.tree.leaves(result.params)


@dataclasses.dataclass(frozen=True)
class Slipped(Problem):
    """An exact solution or a weight that fails where it is traced."""

    what: str
    domain = Box((0.0,), (1.0,))

    def conditions(self):
        data = FixedPoints(np.linspace(0, 1, 5)[:, None], np.ones(5))
        weight = (lambda x: jnp.exp(-x[0])) if self.what == "weight" else 1.0
        return {"data": Condition(lambda u, p: u(p["x"]) - p["value"], data, 5, weight=weight)}

    def exact(self, x):
        known = {"if": lambda: x if x[0] < 0.5 else 1 - x, "numpy": lambda: np.interp(x[0], [0, 1], [1, 1])}
        return known.get(self.what, lambda: None)()


@pytest.mark.parametrize(
    ("what", "note"), [("if", r"exact\(x\).*jnp\.where"), ("numpy", "Interpolated"), ("weight", r"x\['x'\]")]
)
def test_exact_solutions_and_weights_that_fail_are_named(train, what, note):
    with pytest.raises((TypeError, KeyError)) as caught:
        train(optax.sgd(0.1), 1, problem=Slipped(what))
    assert re.search(note, " ".join(caught.value.__notes__))

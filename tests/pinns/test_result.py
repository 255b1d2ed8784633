"""The solution that a result is: of a network with unknowns, in its units, as the problem predicts it."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pinns import Poisson1D, SingularlyPerturbedODE, fit_in_slabs, scaled


@dataclasses.dataclass(frozen=True)
class Enriched(SingularlyPerturbedODE):
    """Its solution is the network and a function with an unknown factor."""

    def unknowns(self):
        return {"factor": 3.0}

    def predict(self, u, x):
        return u(x) + u.unknowns["factor"] * jnp.sqrt(x)


def test_a_result_is_what_the_problem_predicts(train, make_model):
    result = train(optax.sgd(0.0), 1, problem=Enriched(num_points=8))
    points = jnp.linspace(0.1, 1.0, 5)[:, None]
    expected = jax.vmap(make_model())(points) + 3.0 * jnp.sqrt(points)
    np.testing.assert_allclose(result.at(points), expected, rtol=1e-6)
    np.testing.assert_allclose(result(points[1]), expected[1], rtol=1e-6)
    np.testing.assert_allclose(jax.jit(jax.vmap(result))(points), expected, rtol=1e-6)


@pytest.mark.long
def test_results_and_slabs_answer_alike(train, slabs):
    points = jnp.array([[0.2], [0.9]])
    whole = train(optax.sgd(0.0), 1, problem=Enriched(num_points=8))
    np.testing.assert_allclose(slabs.at(points), whole.at(points), rtol=1e-6)
    np.testing.assert_allclose(slabs(points[1]), slabs.at(points)[1], rtol=1e-6)


@pytest.fixture
def slabs(make_model):
    return fit_in_slabs(
        Enriched(num_points=8), make_model(), optax.sgd(0.0), num_steps=1, key=jax.random.key(0), slabs=2,
        initial=["boundary"], progress=False,
    )  # fmt: skip


def test_one_point_is_one_and_many_are_many(train, slabs):
    for result in (train(optax.sgd(0.0), 1, problem=Enriched(num_points=8)), slabs):
        with pytest.raises(ValueError, match=r"shape \(1,\), got \(5, 1\): of many points take at\(points\)"):
            result(jnp.ones((5, 1)))
        for shape in [(5,), (5, 2), (5, 1, 1)]:
            with pytest.raises(ValueError, match=r"points have shape \(N, 1\)"):
                result.at(jnp.ones(shape))


@pytest.mark.long
def test_many_points_may_be_differentiated(train, slabs):
    points = jnp.array([[0.2], [0.9]])
    for result in (train(optax.sgd(0.0), 1, problem=Enriched(num_points=8)), slabs):
        np.testing.assert_allclose(jax.jit(result.at)(points), result.at(points), rtol=1e-6)
        slope = jax.grad(lambda points, r=result: r.at(points).sum())(points)
        expected = jax.vmap(jax.grad(lambda x, r=result: r(x)[0]))(points)
        np.testing.assert_allclose(slope, expected, rtol=1e-5)


@pytest.mark.long
def test_times_that_no_slab_reached_have_no_solution(slabs):
    half = dataclasses.replace(slabs, results=slabs.results[:1])
    points = jnp.array([[0.2], [0.5], [0.7]])
    np.testing.assert_array_equal(np.isnan(half.at(points)[:, 0]), [False, False, True])
    np.testing.assert_array_equal(jax.vmap(half)(points), half.at(points))
    assert np.isfinite(slabs.at(points)).all()


@pytest.mark.long
def test_a_result_is_in_the_units_of_its_problem(train, make_model):
    problem = scaled(Poisson1D("smooth", num_points=20), make_model(), jax.random.key(0))
    problem = dataclasses.replace(problem, outputs=(7.0,))
    result = train(optax.sgd(0.0), 1, problem=problem)
    network = make_model()(2 * jnp.array([0.3]) - 1)
    np.testing.assert_allclose(result(jnp.array([0.3])), 7 * network, rtol=1e-5)


def test_a_course_of_several_parts_is_asked_for_by_part(train):
    result = train(optax.adam(1e-2), 4)
    with pytest.raises(KeyError, match=r"boundary, pde|pde, boundary.*'losses\.pde'"):
        result.curve("losses")
    assert len(result.curve("losses.pde")[1]) == len(result.history)

"""Long times in slabs: continuation of values and slopes, resume, the whole solution."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from isgd_optax import gauss_newton, implicit_step, largest_trusted
from pinns import (
    MLP,
    AdaptiveSampling,
    Box,
    Condition,
    Faces,
    FixedPoints,
    Poisson1D,
    Problem,
    SingularlyPerturbedODE,
    fit_in_slabs,
    gradient,
    laplacian,
    scaled,
)

KEY = jax.random.key(0)


@dataclasses.dataclass(frozen=True)
class Pendulum(Problem):
    """y'' + 4y = 0, y(0) = 1, y'(0) = 0 over several periods: value and slope as separate conditions."""

    end: float = 6.0
    domain = Box((0.0,), (6.0,))

    def conditions(self):
        start = self.domain.face(0, "lower")
        return {
            "pde": Condition(self.pde, self.domain, 60),
            "value": Condition(self.value, start, 1),
            "slope": Condition(self.slope, start, 1),
        }

    def pde(self, u, x):
        value, _, second = laplacian(u, x)
        return second + 4 * value

    def value(self, u, x):
        return u(x) - 1

    def slope(self, u, x):
        return gradient(u, x)[1][0]

    def exact(self, x):
        return jnp.cos(2 * x)


def run(num_steps=40, slabs=3, optimizer=None, problem=None, **options):
    optimizer = optimizer or implicit_step(gauss_newton(), largest_trusted(), max_inner_steps=1)
    model = MLP(1, [12, 12], 1, rngs=nnx.Rngs(0))
    options = {"sampling": "sobol", "progress": False} | options
    return fit_in_slabs(
        problem or Pendulum(), model, optimizer, num_steps=num_steps, key=KEY, slabs=slabs, **options
    )


@pytest.mark.long
def test_values_and_slopes_are_handed_on():
    result = run()
    assert result.finished
    assert result.edges == (0.0, 2.0, 4.0, 6.0)
    assert float(result.errors().rel_l2) < 2e-2
    for i, edge in enumerate(result.edges[1:-1]):
        before, after = (r.solution for r in result.results[i : i + 2])
        x = jnp.array([edge])
        for a, b in zip(gradient(before, x), gradient(after, x), strict=True):
            np.testing.assert_allclose(a, b, atol=2e-2)
    # Another slab begins where the last one ended, not with the data of the problem.
    np.testing.assert_allclose(result.results[1].solution(jnp.array([2.0])), np.cos(4.0), atol=2e-2)


@pytest.mark.long
def test_the_solution_is_that_of_the_slab_in_which_a_point_lies():
    result = run(num_steps=2, optimizer=optax.adam(1e-2))
    for x, slab in [(0.5, 0), (1.99, 0), (2.01, 1), (5.0, 2)]:
        point = jnp.array([x])
        np.testing.assert_allclose(result(point), result.results[slab].solution(point), rtol=1e-6)


@pytest.mark.long
def test_slabs_resume_where_they_were(tmp_path):
    options = {"num_steps": 6, "optimizer": optax.adam(1e-2)}
    whole = run(**options)
    run(**options, checkpoint_dir=tmp_path, checkpoint_seconds=0.0)
    again = run(**options, checkpoint_dir=tmp_path, checkpoint_seconds=0.0)
    folders = sorted(path.name for path in tmp_path.iterdir() if path.is_dir())
    assert folders == ["slab-0000", "slab-0001", "slab-0002"]
    for a, b in zip(whole.results, again.results, strict=True):
        jax.tree.map(np.testing.assert_array_equal, a.params, b.params)


def test_a_slab_that_fails_ends_the_run():
    options = {"num_steps": 5, "key": KEY, "slabs": 3, "progress": False, "evaluate_every": 1}
    result = fit_in_slabs(Pendulum(), MLP(1, [8], 1, rngs=nnx.Rngs(0)), optax.sgd(1e20), **options)
    assert len(result.results) == 1
    assert not result.finished
    with pytest.raises(ValueError, match="a training of all slabs"):
        result.errors()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"slabs": 0}, "slabs must be at least 1"),
        ({"slabs": [4.0, 2.0]}, "must increase between"),
        ({"slabs": [7.0]}, "must increase between"),
        ({"slabs": 2, "initial": ["start"]}, "names of the initial conditions"),
    ],
)
def test_unfit_slabs_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        run(num_steps=1, **options)


def test_initial_conditions_are_those_where_time_begins():
    model = MLP(1, [8], 1, rngs=nnx.Rngs(0))
    options = {"num_steps": 1, "key": KEY, "slabs": 2, "progress": False}
    for problem in (SingularlyPerturbedODE(), Poisson1D()):  # conditions at both ends at once
        with pytest.raises(ValueError, match="give initial="):
            fit_in_slabs(problem, model, optax.sgd(0.0), **options)


@pytest.mark.slow
def test_slabs_of_a_scaled_problem_see_coordinates_of_size_one():
    problem = scaled(Pendulum(), MLP(1, [12, 12], 1, rngs=nnx.Rngs(0)), jax.random.key(0))
    result = run(problem=problem, num_steps=60)
    for slab, (begin, end) in zip(result.results, itertools.pairwise(result.edges), strict=True):
        network = slab.problem.functional(slab.model)[0](slab.params)
        plain = slab.model(jnp.array([-1.0]))
        np.testing.assert_allclose(network(jnp.array([begin])), plain * problem.outputs[0], rtol=1e-6)
        assert (slab.problem.domain.lower, slab.problem.domain.upper) == ((begin,), (end,))
    assert result.errors().rel_l2 < 1e-3


@pytest.mark.long
def test_a_result_first_called_inside_of_jit_can_be_called_outside():
    problem = scaled(Pendulum(), MLP(1, [12, 12], 1, rngs=nnx.Rngs(0)), jax.random.key(0))
    result = run(problem=problem, num_steps=2, optimizer=optax.adam(1e-2))
    x = jnp.array([0.3])
    np.testing.assert_allclose(jax.jit(lambda x: result(x))(x), result(x), rtol=1e-6)


@pytest.mark.long
def test_many_points_are_those_of_their_slabs():
    result = run(num_steps=2, optimizer=optax.adam(1e-2))
    points = jnp.array([[0.0], [1.9], [2.0], [2.1], [4.0], [5.9]])
    one_by_one = jnp.stack([result(x) for x in points])
    np.testing.assert_allclose(result.at(points), one_by_one, rtol=1e-5, atol=1e-6)  # sums of terms of size 1


@dataclasses.dataclass(frozen=True)
class AtTheStart:
    """A region of its own where time begins."""

    def sample(self, key, num_points, method, dtype):
        return jnp.zeros((num_points, 1), dtype)


@pytest.mark.parametrize(
    "region", [FixedPoints([[0.0]]), AtTheStart(), Faces(Box((0.0,), (6.0,)), ((0, "lower"), (0, "upper")))]
)
def test_an_initial_condition_that_is_not_found_is_no_silent_loss(region):
    """Beside one that is: later slabs would begin with any value, or with that of the first slab."""

    class Elsewhere(Pendulum):
        def conditions(self):
            return super().conditions() | {"value": Condition(self.value, region, 2)}

    with pytest.raises(ValueError, match=r"'value' has points where coordinate 0, time, begins.*'slope'"):
        run(problem=Elsewhere())


def test_initial_conditions_that_are_named_are_believed():
    class Known(Pendulum):
        def conditions(self):
            return super().conditions() | {"value": Condition(self.value, FixedPoints([[0.0]]), 1)}

    assert len(run(2, 2, optax.adam(1e-2), Known(), initial=["slope"]).results) == 2


@pytest.mark.long
def test_measurements_may_begin_where_time_does():
    class Measured(Pendulum):
        def conditions(self):
            data = FixedPoints([[0.0], [2.0], [4.0]], [[1.0], [0.0], [1.0]])
            residual = lambda u, point: u(point["x"]) - point["value"]
            return super().conditions() | {"data": Condition(residual, data, 3)}

    assert len(run(2, 2, optax.adam(1e-2), Measured()).results) == 2


@pytest.mark.long
@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"batch_size": {"data": 4}}, marks=pytest.mark.slow),  # slabs of every form compile
        {"sampling": AdaptiveSampling(conditions=("data", "pde"), every=2)},
    ],
)
def test_options_by_condition_suit_slabs_with_few_or_no_data(options):
    class Measured(Pendulum):
        def conditions(self):
            times = np.array([[0.5], [1.0], [1.2], [1.5], [1.7], [2.5], [3.5]])
            data = FixedPoints(times, np.cos(2 * times))
            residual = lambda u, point: u(point["x"]) - point["value"]
            return super().conditions() | {"data": Condition(residual, data, 7)}

    result = run(4, 3, optax.adam(1e-2), Measured(), **options)
    counts = [len(r.loss.blocks) for r in result.results]
    assert counts == [4, 4, 3]
    with pytest.raises(ValueError, match="batch_size names 'date'"):
        run(4, 3, optax.adam(1e-2), Measured(), batch_size={"date": 4})


def test_noisy_measurements_where_time_begins_are_no_initial_condition():
    class Measured(Pendulum):
        def conditions(self):
            data = FixedPoints([[0.0]], [[1.01]])
            residual = lambda u, point: u(point["x"]) - point["value"]
            return super().conditions() | {"data": Condition(residual, data, 1, noisy=True)}

    assert len(run(2, 2, optax.adam(1e-2), Measured()).results) == 2

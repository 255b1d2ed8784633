"""Where errors are measured, and errors of every output; solutions given by tables."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from isgd_optax import gauss_newton, implicit_step, largest_trusted
from pinns import (
    MLP,
    Ball,
    Box,
    Condition,
    Difference,
    FunctionApproximation,
    Helmholtz2D,
    PoissonND,
    Polygon,
    Problem,
    Scaled,
    axis_names,
    errors,
    errors_by_output,
    evaluation_points,
    exact_values,
    laplacian,
    output_names,
    plot_solution,
    predict,
)

KEY = jax.random.key(0)


def on(region, solution=lambda x: jnp.sum(x, keepdims=True)):
    """A problem on this domain with this solution."""

    class On(Problem):
        domain = region

        def conditions(self):
            return {"data": Condition(self.data, self.domain, 30)}

        def data(self, u, x):
            return u(x) - solution(x)

        def exact(self, x):
            return solution(x)

    return On()


def test_errors_are_relative_l2_and_maximum():
    result = errors(jnp.array([[1.0], [2.0], [2.0]]), jnp.array([[1.0], [2.0], [5.0]]))
    np.testing.assert_allclose(result.rel_l2, 3 / np.sqrt(30), rtol=1e-6)
    np.testing.assert_allclose(result.max_error, 3.0)
    with pytest.raises(ValueError, match="one shape"):
        errors(jnp.zeros((3, 1)), jnp.zeros(3))


def test_errors_are_measured_on_a_grid_with_the_boundary(ode):
    points = evaluation_points(ode, jnp.float32)
    assert points.shape == (1001, 1)
    np.testing.assert_allclose(points[jnp.array([0, 500, -1]), 0], [0.0, 0.5, 1.0])
    problem = Helmholtz2D()
    assert evaluation_points(problem, jnp.float32).shape == (101**2, 2)
    axis = jnp.linspace(0, 1, 101, dtype=jnp.float32)
    unit = jnp.stack(jnp.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    lower, upper = (jnp.array([corner]) for corner in (problem.domain.lower, problem.domain.upper))
    assert jnp.array_equal(evaluation_points(problem, jnp.float32), lower + (upper - lower) * unit)


def test_the_exact_solution_has_no_error(ode, dtype):
    points = evaluation_points(ode, dtype)
    exact = exact_values(ode, points)
    assert exact.shape == (1001, 1)
    assert exact.dtype == dtype
    assert jnp.array_equal(exact_values(ode, np.asarray(points)), exact)
    # Two programs of one formula: they may round differently.
    assert float(errors(predict(ode.exact, points), exact).rel_l2) <= jnp.finfo(dtype).eps


DOMAINS = {
    "interval": (Ball((0.0,), 1.0), 1001),
    "disk": (Ball((0.0, 0.0), 1.0), 7845),
    "triangle": (Polygon(((0.0, 0.0), (1.0, 0.0), (0.0, 1.0))), 5151),
    "cube": (Box((0.0,) * 3, (1.0,) * 3), 10_000),
    "ball in 4-D": (Ball((0.0,) * 4, 1.0), 10_000),
    "cube with a hole": (Difference(Box((0.0,) * 3, (1.0,) * 3), Ball((0.5,) * 3, 0.3)), 10_000),
}


@pytest.mark.parametrize("name", DOMAINS)
def test_errors_are_measured_inside_of_any_domain(name):
    domain, number = DOMAINS[name]
    points = evaluation_points(on(domain), jnp.float32)
    assert points.shape[1] == domain.dim
    assert abs(len(points) - number) <= 4  # points on a curved boundary: rounding decides
    assert jnp.all(jax.vmap(Ball((0.0,) * 4, 1.0001).contains if "4-D" in name else domain.contains)(points))
    assert jnp.array_equal(points, evaluation_points(on(domain), jnp.float32))


def test_a_solution_that_is_not_finite_is_an_error():
    hole = on(Box((-1.0, -1.0), (1.0, 1.0)), lambda x: x[:1] / (x**2).sum())
    with pytest.raises(ValueError, match=r"not finite at 1 of 10201 points, e.g. \[0. 0.\]"):
        exact_values(hole, evaluation_points(hole, jnp.float32))


class Cylinder(Problem):
    """Potential flow round a cylinder; its solution has no value at the origin."""

    domain = Difference(Box((-3.0, -3.0), (3.0, 3.0)), Ball((0.0, 0.0), 1.0))

    def conditions(self):
        return {
            "pde": Condition(lambda u, x: laplacian(u, x)[2], self.domain, 60),
            "outer": Condition(lambda u, x: u(x) - self.exact(x), self.domain.outer, 40),
            "circle": Condition(self.flux, self.domain.inner, 40),
        }

    def flux(self, u, x):
        return jax.jvp(u, (x,), (self.domain.inner.normal(x),))[1]

    def exact(self, x):
        return x[:1] * (1 + 1 / (x**2).sum())


@pytest.mark.slow
def test_flow_round_a_cylinder(train, make_model):
    problem = Cylinder()
    points = evaluation_points(problem, jnp.float32)
    np.testing.assert_allclose(len(points) / 101**2, 1 - np.pi / 36, rtol=1e-2)
    circle = problem.sample(KEY)["circle"]
    flux = jax.vmap(lambda x: problem.flux(problem.exact, x))(circle)
    np.testing.assert_allclose(flux, 0, atol=1e-5)
    optimizer = implicit_step(gauss_newton(), largest_trusted(), max_inner_steps=1)
    result = train(
        optimizer, 40, problem=problem, model=make_model((10, 10), dim=2), target=0.2, evaluate_every=4
    )
    assert np.all(np.isfinite(result.curve("rel_l2")[1]))
    assert result.stop_reason == "target"
    assert result.final["rel_l2"] <= 0.2
    image = plot_solution(problem, {"network": result}).axes[0].images[0].get_array()
    x, y = np.meshgrid(np.linspace(-3, 3, 101), np.linspace(-3, 3, 101))
    radius = np.hypot(x, y)
    assert np.all(np.ma.getmaskarray(image)[radius < 0.999])
    assert not np.any(np.ma.getmaskarray(image)[radius > 1.001])


@dataclasses.dataclass(frozen=True)
class Two(FunctionApproximation):
    """A large and a small output."""

    def data(self, u, x):
        return u(x) - self.exact(x)

    def exact(self, x):
        return jnp.concatenate([jnp.sin(x), 1e-3 * jnp.cos(x)])


class Named(Two):
    output_names = ("u", "v")


@pytest.mark.parametrize(("problem", "names"), [(Two(), ("0", "1")), (Named(), ("u", "v"))])
def test_every_output_has_its_error(problem, names, train):
    result = train(optax.adam(1e-3), 2, problem=problem, model=MLP(1, [6], 2, rngs=nnx.Rngs(0)))
    points = evaluation_points(problem, jnp.float32)
    exact, values = jax.vmap(problem.exact)(points), jax.vmap(result.solution)(points)
    for i, name in enumerate(names):
        by_hand = jnp.linalg.norm(values[:, i] - exact[:, i]) / jnp.linalg.norm(exact[:, i])
        assert result.final["rel_l2_by_output"][name] == pytest.approx(float(by_hand), rel=1e-4)
        np.testing.assert_allclose(result.curve(f"rel_l2_by_output.{name}")[1][-1], by_hand, rtol=1e-4)
    assert result.final["rel_l2_by_output"][names[1]] > 10 * result.final["rel_l2"]


def test_one_output_has_one_error(train):
    assert "rel_l2_by_output" not in train(optax.adam(1e-3), 1).final


def test_what_the_problem_predicts_is_compared(train, make_model):
    class Squared(FunctionApproximation):
        def predict(self, u, x):
            return u(x) ** 2

    problem, model = Squared(), make_model()
    row = train(optax.sgd(0.0), 1, problem=problem, model=model).history[0]
    points = evaluation_points(problem, jnp.float32)
    expected = errors(jax.vmap(model)(points) ** 2, exact_values(problem, points))
    assert row["rel_l2"] == pytest.approx(float(expected.rel_l2), rel=1e-5)
    curve = plot_solution(problem, {"network": model}).axes[0].lines[1].get_ydata()
    np.testing.assert_allclose(curve, jax.vmap(model)(points)[:, 0] ** 2, rtol=1e-4, atol=1e-6)


def test_coordinates_have_the_names_that_the_problem_declares():
    class InTime(Two):
        axis_names = ("t",)

    assert axis_names(Two()) == ("x",)
    assert axis_names(Scaled(InTime(), (1.0,), ())) == ("t",)
    assert axis_names(PoissonND(4)) == ("x[0]", "x[1]", "x[2]", "x[3]")
    curves = plot_solution(InTime(), {"network": lambda x: jnp.tile(x, 2)})
    assert [axis.get_xlabel() for axis in curves.axes] == ["t"] * 4
    InTime.axis_names = ("x", "t")
    with pytest.raises(ValueError, match="1 coordinates"):
        axis_names(InTime())


def test_names_and_outputs_must_agree():
    assert output_names(Two(), 3) == ("0", "1", "2")
    assert output_names(Scaled(Named(), (1.0,), ()), 2) == ("u", "v")
    with pytest.raises(ValueError, match="3 outputs"):
        output_names(Named(), 3)
    with pytest.raises(ValueError, match="as many columns"):
        errors_by_output(jnp.zeros((3, 1)), jnp.zeros((3, 1)), ("u", "v"))
    with pytest.raises(ValueError, match="one shape"):
        errors_by_output(jnp.zeros((3, 2)), jnp.zeros((3, 1)), ("u", "v"))


def test_of_what_is_zero_the_relative_error_is_zero_or_infinite():
    zero, one = jnp.zeros((3, 1)), jnp.ones((3, 1))
    assert (errors(zero, zero).rel_l2, errors(one, zero).rel_l2) == (0, jnp.inf)
    both = errors_by_output(jnp.hstack([zero, one]), jnp.zeros((3, 2)), ("u", "v"))
    assert both == {"u": 0, "v": jnp.inf}
    assert jnp.isnan(errors(zero * jnp.nan, one).rel_l2)


def test_scalars_are_one_output(train):
    @dataclasses.dataclass(frozen=True)
    class Scalar(FunctionApproximation):
        def conditions(self):
            return {"data": Condition(lambda u, x: u(x) - x[0], self.domain, 20)}

        def exact(self, x):
            return x[0]

    network = (lambda params, x: params["a"] * x[0], {"a": jnp.asarray(0.5)})
    result = train(optax.sgd(0.0), 1, problem=Scalar(), model=network)
    np.testing.assert_allclose(result.final["rel_l2"], 0.5, rtol=1e-6)
    assert predict(lambda x: x[0], jnp.ones((3, 2))).shape == (3, 1)

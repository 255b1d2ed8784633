import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure
from pinns.metric import exact_values, predict
from pinns.metric import test_points as points_of

from pinns import Box, Condition, Helmholtz2D, Problem, errors, plot_history, plot_solution

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(autouse=True)
def no_open_figures():
    plt.close("all")
    yield
    assert plt.get_fignums() == []


def test_errors_are_measured_on_a_grid_with_the_boundary(ode):
    points = points_of(ode, jnp.float32)
    assert points.shape == (1001, 1)
    np.testing.assert_allclose(points[[0, 500, -1], 0], [0.0, 0.5, 1.0])
    assert points_of(Helmholtz2D(), jnp.float32).shape == (101**2, 2)


def test_the_exact_solution_has_no_error(ode, dtype):
    points = points_of(ode, dtype)
    exact = exact_values(ode, points)
    assert exact.shape == (1001, 1)
    assert float(errors(predict(ode.exact, points), exact).rel_l2) == 0


def test_histories_against_something_else_are_refused():
    with pytest.raises(ValueError, match=r"x must be one of .*'epochs'"):
        plot_history({}, x="epochs")


def test_solutions_in_one_dimension_share_two_axes(ode, make_model, tmp_path):
    path = tmp_path / "solution.png"
    models = {"first": make_model(), "second": make_model((4, 4))}
    figure = plot_solution(ode, models, path=path)
    assert path.read_bytes().startswith(PNG)
    solution, error = figure.axes
    assert [line.get_label() for line in solution.lines] == ["exact", "first", "second"]
    x = np.linspace(0, 1, 1001, dtype=np.float32)[:, None]
    np.testing.assert_allclose(
        solution.lines[1].get_ydata(), models["first"](jnp.asarray(x))[:, 0], rtol=1e-5
    )
    exact = jax.vmap(ode.exact)(jnp.asarray(x))
    expected = np.abs(models["first"](jnp.asarray(x)) - exact)[:, 0]
    np.testing.assert_allclose(error.lines[0].get_ydata(), expected, rtol=1e-4, atol=1e-6)


def test_figures_need_no_file(ode, make_model):
    assert isinstance(plot_solution(ode, {"network": make_model()}), Figure)


class Nowhere(Problem):
    def __init__(self, dim, solution):
        self.domain = Box((0.0,) * dim, (1.0,) * dim)
        self.solution = solution

    def conditions(self):
        return {"data": Condition(lambda u, x: u(x), self.domain, 5)}

    def exact(self, x):
        return jnp.sum(x) if self.solution else None


@pytest.mark.parametrize(("dim", "solution"), [(1, False), (2, False), (3, True)])
def test_solutions_that_cannot_be_drawn_are_refused(dim, solution, make_model):
    with pytest.raises(ValueError, match="one or two dimensions with an exact solution"):
        plot_solution(Nowhere(dim, solution), {"network": make_model(dim=dim)})

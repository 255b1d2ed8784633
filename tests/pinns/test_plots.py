"""Figures of histories and of solutions: their panels, axes, outputs and colours."""

import dataclasses

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
import pytest
from flax import nnx
from matplotlib.figure import Figure

from pinns import (
    MLP,
    Ball,
    Box,
    Condition,
    Difference,
    FunctionApproximation,
    Helmholtz2D,
    Problem,
    SingularlyPerturbedODE,
    plot_history,
    plot_solution,
)

pytestmark = pytest.mark.usefixtures("no_open_figures")
PNG = b"\x89PNG\r\n\x1a\n"


def image(axis):
    """The map of a panel, NaN where it is blank."""
    [drawn] = axis.images
    return np.ma.filled(drawn.get_array().astype(float), np.nan)


def test_history_is_drawn_and_saved(train, tmp_path):
    results = {"good": train(optax.adam(1e-2), 10), "bad": train(optax.sgd(1e6), 10, evaluate_every=1)}
    figure = plot_history(results, path=tmp_path / "history.png")
    assert (tmp_path / "history.png").read_bytes().startswith(PNG)
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["good", "bad (diverged)"]
    x, y = figure.axes[1].lines[0].get_data()
    np.testing.assert_allclose(x, results["good"].curve("num_gradients")[1])
    np.testing.assert_allclose(y, results["good"].curve("rel_l2")[1])
    assert plt.get_fignums() == []


def test_the_loss_on_fresh_points_is_dashed(train):
    results = {"with": train(optax.adam(1e-2), 6), "without": train(optax.adam(1e-2), 6, fresh_loss=False)}
    figure = plot_history(results, x="step")
    loss, fresh, other = figure.axes[0].lines
    assert (loss.get_linestyle(), fresh.get_linestyle(), other.get_linestyle()) == ("-", "--", "-")
    assert loss.get_color() == fresh.get_color() != other.get_color()
    np.testing.assert_allclose(fresh.get_ydata(), results["with"].curve("fresh_loss")[1])
    np.testing.assert_allclose(other.get_ydata(), results["without"].curve("loss")[1])
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["with", "without"]
    assert "dashed" in figure.axes[0].get_title()
    assert "dashed" not in plot_history({"without": results["without"]}).axes[0].get_title()


def test_without_exact_solutions_there_is_no_panel_of_errors(train):
    result = train(optax.adam(1e-3), 2, problem=Nowhere(1, False))
    assert len(plot_history({"result": result}).axes) == 1


def test_histories_against_something_else_are_refused():
    with pytest.raises(ValueError, match=r"x must be one of .*'epochs'"):
        plot_history({}, x="epochs")


@pytest.mark.parametrize("problem", [SingularlyPerturbedODE(), Helmholtz2D()], ids=["1-D", "2-D"])
def test_solution_is_drawn_and_saved(problem, tmp_path):
    models = {n: MLP(problem.domain.dim, [4], 1, rngs=nnx.Rngs(i)) for i, n in enumerate(("first", "second"))}
    figure = plot_solution(problem, models, path=tmp_path / "solution.png")
    assert (tmp_path / "solution.png").read_bytes().startswith(PNG)
    titles = [axis.get_title() for axis in figure.axes]
    assert ("|second − exact|" in titles) if problem.domain.dim == 2 else ("absolute error" in titles)
    assert plt.get_fignums() == []


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


@pytest.mark.parametrize("axes", [(0, 1), (1, 0)])
def test_map_has_the_first_axis_to_the_right_and_the_second_up(axes):
    problem = Helmholtz2D()
    figure = plot_solution(problem, {"net": MLP(2, [4], 1, rngs=nnx.Rngs(0))}, axes=axes)
    values = image(figure.axes[1])
    assert values.shape == (101, 101)
    row, column = 12, 50  # 0.12 up, 0.5 to the right
    point = np.zeros(2)
    point[list(axes)] = [0.5, 0.12]
    np.testing.assert_allclose(values[row, column], problem.exact(jnp.asarray(point)), rtol=1e-5)
    assert (figure.axes[1].get_xlabel(), figure.axes[1].get_ylabel()) == ("xy"[axes[0]], "xy"[axes[1]])


class Nowhere(Problem):
    def __init__(self, dim, solution, domain=None):
        self.domain = domain or Box((0.0,) * dim, tuple(1.0 + i for i in range(dim)))
        self.solution = solution

    def conditions(self):
        return {"data": Condition(lambda u, x: u(x), self.domain, 5)}

    def exact(self, x):
        return jnp.sum(x * 10.0 ** jnp.arange(x.size)) if self.solution else None


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_without_an_exact_solution_predictions_are_drawn_alone(dim, make_model):
    figure = plot_solution(
        Nowhere(dim, False), {"network": make_model(dim=dim), "other": make_model(dim=dim)}
    )
    titles = [axis.get_title() for axis in figure.axes if axis.get_title()]
    assert titles == (["solution"] if dim == 1 else ["network", "other"])


def test_of_more_dimensions_a_plane_through_the_middle_is_drawn():
    figure = plot_solution(Nowhere(4, True), {"sum": lambda x: x.sum(keepdims=True)}, axes=(2, 0))
    assert figure.get_suptitle() == "x[1] = 1, x[3] = 2"
    np.testing.assert_allclose(image(figure.axes[0])[100, 0], 1 + 1 + 0 + 2)  # up is x[0] = 1, left x[2] = 0
    np.testing.assert_allclose(image(figure.axes[1])[0, 100], 0 + 10 + 300 + 2000)
    assert (figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()) == ("x[2]", "x[0]")
    assert figure.axes[0].images[0].get_extent() == [0, 3, 0, 1]


def test_what_lies_outside_is_blank():
    disk = Nowhere(2, True, Ball((1.0, 0.0), 2.0))
    values = image(plot_solution(disk, {"zero": lambda x: 0 * x[:1]}).axes[2])
    x, y = np.meshgrid(np.linspace(-1, 3, 101), np.linspace(-2, 2, 101))
    inside = np.hypot(x - 1, y) < 1.999
    np.testing.assert_allclose(values[inside], np.abs(x + 10 * y)[inside], atol=1e-4)
    assert np.all(np.isnan(values[np.hypot(x - 1, y) > 2.001]))
    line = Nowhere(1, True, Difference(Box((0.0,), (3.0,)), Box((1.0,), (2.0,))))
    curve = plot_solution(line, {"zero": lambda x: 0 * x}).axes[0].lines[1].get_ydata()
    assert np.all(np.isnan(curve[334:666]))
    assert np.all(curve[:333] == 0)


class Two(FunctionApproximation):
    output_names = ("u", "v")

    def exact(self, x):
        return jnp.concatenate([jnp.sin(x), jnp.cos(x)])


class TwoMaps(Two):
    domain = Box((0.0, 0.0), (1.0, 1.0))

    def exact(self, x):
        return jnp.sin(jnp.array([1.0, 2.0]) * x)


def test_every_output_has_a_row():
    curves = plot_solution(Two(), {"a": lambda x: jnp.tile(x, 2), "b": lambda x: jnp.tile(-x, 2)})
    assert [axis.get_title() for axis in curves.axes] == [
        f"{what}, {name}" for name in "uv" for what in ("solution", "absolute error")
    ]
    x = np.linspace(-3, 3, 1001)
    np.testing.assert_allclose(curves.axes[2].lines[0].get_ydata(), np.cos(x), atol=1e-5)
    maps = plot_solution(TwoMaps(), {"a": lambda x: x, "b": lambda x: -x})
    titles = [axis.get_title() for axis in maps.axes if axis.get_title()]
    assert titles == [
        f"{what}, {output}" for n in "ab" for output in "uv" for what in (n, "exact", f"|{n} − exact|")
    ]
    np.testing.assert_allclose(image(maps.axes[10])[25, 50], np.sin(0.5), atol=1e-5)  # v is of y


@pytest.mark.parametrize(
    ("problem", "models", "options", "message"),
    [
        (Nowhere(3, True), {}, {}, "a model at least"),
        (Nowhere(3, True), {"a": jnp.sum}, {"axes": (0, 3)}, "two different ones of 0 to 2"),
        (Nowhere(3, True), {"a": jnp.sum}, {"axes": (1, 1)}, "two different ones of 0 to 2"),
        (Nowhere(2, True), {"a": lambda x: x}, {}, "different numbers of outputs: .1, 2."),
        (
            Nowhere(
                3, True, Difference(Box((-1.0,) * 3, (1.0,) * 3), Box((-2.0, -2.0, -0.1), (2.0, 2.0, 0.1)))
            ),
            {"a": jnp.sum},
            {},
            "choose other axes",
        ),
    ],
)
def test_what_cannot_be_drawn_is_refused(problem, models, options, message):
    with pytest.raises(ValueError, match=message):
        plot_solution(problem, models, **options)


@dataclasses.dataclass(frozen=True)
class Slope(Problem):
    domain = Box((-1.0, 0.0), (1.0, 1.0))

    def conditions(self):
        return {}

    def exact(self, x):
        return x[:1]


@pytest.mark.parametrize(
    ("wrong", "extend"),
    [
        (lambda x: x[:1], "neither"),
        (lambda x: 10 * x[:1], "both"),
        (lambda x: 10 * jnp.maximum(x[:1], 0), "max"),
    ],
)
def test_values_beyond_the_colours_are_marked_and_white_is_zero(wrong, extend):
    figure = plot_solution(Slope(), {"network": wrong})
    image = figure.axes[0].images[0]
    assert image.get_clim() == (-1, 1)
    assert image.colorbar.extend == extend

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
import pytest
from flax import nnx
from pinns.sampling import Box

from pinns import MLP, Helmholtz2D, Problem, SingularlyPerturbedODE, errors, plot_history, plot_solution


def test_errors_are_relative_l2_and_maximum():
    result = errors(jnp.array([[1.0], [2.0], [2.0]]), jnp.array([[1.0], [2.0], [5.0]]))
    np.testing.assert_allclose(result.rel_l2, 3 / np.sqrt(30), rtol=1e-6)
    np.testing.assert_allclose(result.max_error, 3.0)
    with pytest.raises(ValueError, match="one shape"):
        errors(jnp.zeros((3, 1)), jnp.zeros(3))


def test_history_is_drawn_and_saved(train, tmp_path):
    results = {"good": train(optax.adam(1e-2), 10), "bad": train(optax.sgd(1e6), 10, evaluate_every=1)}
    figure = plot_history(results, path=tmp_path / "history.png")
    assert (tmp_path / "history.png").read_bytes().startswith(b"\x89PNG")
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["good", "bad (diverged)"]
    x, y = figure.axes[1].lines[0].get_data()
    np.testing.assert_allclose(x, results["good"].curve("num_gradients")[1])
    np.testing.assert_allclose(y, results["good"].curve("rel_l2")[1])
    assert plt.get_fignums() == []


@pytest.mark.parametrize("problem", [SingularlyPerturbedODE(), Helmholtz2D()], ids=["1-D", "2-D"])
def test_solution_is_drawn_and_saved(problem, tmp_path):
    models = {n: MLP(problem.domain.dim, [4], 1, rngs=nnx.Rngs(i)) for i, n in enumerate(("first", "second"))}
    figure = plot_solution(problem, models, path=tmp_path / "solution.png")
    assert (tmp_path / "solution.png").read_bytes().startswith(b"\x89PNG")
    titles = [axis.get_title() for axis in figure.axes]
    assert ("|second − exact|" in titles) if problem.domain.dim == 2 else ("absolute error" in titles)
    assert plt.get_fignums() == []


def test_map_has_x_to_the_right_and_y_up():
    problem = Helmholtz2D()
    figure = plot_solution(problem, {"net": MLP(2, [4], 1, rngs=nnx.Rngs(0))})
    (image,) = figure.axes[1].images
    values = np.asarray(image.get_array())
    assert values.shape == (101, 101)
    row, column = 12, 50  # y = 0.12, x = 0.5
    np.testing.assert_allclose(values[row, column], problem.exact(jnp.array([0.5, 0.12])), rtol=1e-5)


def test_three_dimensions_are_refused():
    class Cube(Problem):
        domain = Box((0.0,) * 3, (1.0,) * 3)

        def exact(self, x):
            return x[0]

    with pytest.raises(ValueError, match="one or two dimensions"):
        plot_solution(Cube(), {"net": MLP(3, [4], 1, rngs=nnx.Rngs(0))})

"""What is drawn of the models: every form of them, in their units and dtypes, and those that failed."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pinns import Helmholtz2D, Poisson1D, SingularlyPerturbedODE, fit_in_slabs, plot_solution, scaled

pytestmark = pytest.mark.usefixtures("no_open_figures")


def test_all_forms_of_models_are_drawn(ode, train, make_model):
    result = train(optax.adam(1e-3), 3)
    state = lambda params, x: params["w"] * x
    models = {
        "module": make_model(),
        "result": result,
        "pair": (state, {"w": jnp.asarray(2.0)}),
        "function": lambda x: x,
        "exact": ode.exact,
    }
    figure = plot_solution(ode, models)
    curves = {line.get_label(): line.get_ydata() for line in figure.axes[0].lines[1:]}
    x = np.linspace(0, 1, 1001)
    np.testing.assert_allclose(curves["pair"], 2 * x, rtol=1e-6)
    np.testing.assert_allclose(curves["function"], x, rtol=1e-6)
    solution = jax.vmap(result.solution)(jnp.asarray(x[:, None], jnp.float32))
    np.testing.assert_allclose(curves["result"], solution[:, 0], rtol=1e-5)


@pytest.mark.slow
def test_scaled_problems_and_slabs_are_drawn_in_their_units(train, make_model):
    problem = scaled(Poisson1D("smooth", num_points=20), make_model(), jax.random.key(0))
    result = train(optax.sgd(0.0), 1, problem=problem)
    curves = plot_solution(problem, {"result": result, "network": make_model()}).axes[0].lines
    np.testing.assert_allclose(curves[1].get_ydata(), curves[2].get_ydata(), rtol=1e-5)
    ode = SingularlyPerturbedODE(epsilon=2.0, num_points=8)
    slabs = fit_in_slabs(
        ode, make_model(), optax.adam(1e-3), num_steps=1, key=jax.random.key(0), slabs=2,
        initial=["boundary"], progress=False,
    )  # fmt: skip
    curve = plot_solution(ode, {"slabs": slabs}).axes[0].lines[1].get_ydata()
    np.testing.assert_allclose(curve[100], slabs(jnp.array([0.1]))[0], rtol=1e-5)


def test_dtypes_are_those_of_the_models(x64):
    seen = {}

    def seeing(name):
        def apply(params, x):
            seen[name] = x.dtype
            return params["w"] * x

        return apply

    models = {d: (seeing(d), {"w": jnp.ones((), d)}) for d in ("float32", "float64")}
    models["function"] = lambda x: seen.update(function=x.dtype) or x
    plot_solution(SingularlyPerturbedODE(), models)
    assert seen == {"float32": jnp.float32, "float64": jnp.float64, "function": jnp.float64}


def test_a_failed_network_is_drawn(ode):
    figure = plot_solution(ode, {"failed": lambda x: x * jnp.nan, "huge": lambda x: x + 1e6})
    assert figure.axes[0].get_ylim()[1] < 100
    plot_solution(Helmholtz2D(), {"failed": lambda x: x[:1] * jnp.nan})

"""Certified results of nonlinear regressions, of the National Institute of Standards and Technology.

Six of the Statistical Reference Datasets (StRD, public domain), each from both of its starts:
https://www.itl.nist.gov/div898/strd/nls/nls_main.shtml
"""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from isgd_optax import LeastSquares, Residual, diagnostics, gauss_newton, implicit_step, largest_trusted

DATA = json.loads((Path(__file__).parent / "data" / "nist_strd.json").read_text())
MODELS = {
    "BoxBOD": lambda b, x: b[0] * (1 - jnp.exp(-b[1] * x)),
    "Eckerle4": lambda b, x: b[0] / b[1] * jnp.exp(-0.5 * ((x - b[2]) / b[1]) ** 2),
    "MGH09": lambda b, x: b[0] * (x**2 + b[1] * x) / (x**2 + b[2] * x + b[3]),
    "MGH17": lambda b, x: b[0] + b[1] * jnp.exp(-b[3] * x) + b[2] * jnp.exp(-b[4] * x),
    "Rat43": lambda b, x: b[0] / (1 + jnp.exp(b[1] - b[2] * x)) ** (1 / b[3]),
    "Thurber": lambda b, x: jnp.polyval(b[3::-1], x) / (1 + x * jnp.polyval(b[:3:-1], x)),
}


@pytest.mark.long
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("metric", ["identity", "jacobi"])
def test_certified_values_and_standard_errors(name, metric, x64):
    given = {key: jnp.asarray(value) for key, value in DATA[name].items()}
    model = MODELS[name]
    loss = LeastSquares(Residual(lambda b, point: model(b, point[0]) - point[1], (given["x"], given["y"])))
    solver = implicit_step(gauss_newton(), largest_trusted(), max_inner_steps=1, metric=metric)

    @jax.jit
    def fitted(params):
        def step(carry, _):
            params, state = carry
            updates, state = solver.update(jax.grad(loss)(params), state, params, value_fn=loss)
            return (optax.apply_updates(params, updates), state), None

        return jax.lax.scan(step, (params, solver.init(params)), length=80)[0]

    for start in given["starts"]:
        params, state = fitted(start)
        np.testing.assert_allclose(params, given["certified"], rtol=1e-6)
        assert state.info.at_floor  # it says that nothing is left to gain
    found = diagnostics.covariance(loss, params)
    np.testing.assert_allclose(found.standard_error, given["standard_errors"], rtol=1e-6)

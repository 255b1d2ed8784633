"""What Gauss–Newton steps refuse: other losses and uses, bad options, and what does not fit into memory."""

import jax
import jax.numpy as jnp
import optax
import pytest

from isgd_optax import gauss_newton, implicit_step

pytestmark = pytest.mark.usefixtures("x64")


def test_another_loss_is_refused():
    params = jnp.ones(2)
    solver = implicit_step(gauss_newton(), 1.0)
    with pytest.raises(TypeError, match="LeastSquares"):
        solver.update(params, solver.init(params), params, value_fn=lambda p: jnp.sum(p**2))


def test_use_outside_an_implicit_step_is_refused(make_problem):
    loss, params = make_problem(2)
    solver = gauss_newton()
    with pytest.raises(TypeError, match="inner solver"):
        solver.update(jax.grad(loss)(params), solver.init(params), params, value_fn=loss)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"linear_solver": "lu"}, "linear_solver"),
        ({"kernel": "columns"}, "kernel"),
        ({"row_block": 0}, "row_block"),
        ({"cg_rtol": 0.0}, "cg_rtol"),
        ({"cg_max_steps": 0}, "cg_max_steps"),
        ({"preconditioner_rank": -1}, "preconditioner_rank"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        gauss_newton(**options)


def test_layers_name_the_parameters_that_have_none(make_problem, one_step):
    loss, params = make_problem(2)
    with pytest.raises(ValueError, match=r"params\['a'\] \(.*mul.*\) in 'curve'|params\['a'\] \(.*\)"):
        one_step(loss, params, 1.0, kernel="layers")


@pytest.mark.parametrize(("linear_solver", "limit"), [("dual", 4000), ("primal", 1700), ("qr", 2000)])
def test_what_does_not_fit_is_refused_with_alternatives(linear_solver, limit, make_problem, one_step):
    loss, params = make_problem(6)
    with pytest.raises(ValueError, match=r"GiB.*cg.*memory_limit"):
        one_step(loss, params, 1.0, linear_solver=linear_solver, memory_limit=limit, preconditioner_rank=0)


def test_masked_parameters_are_refused(make_problem):
    loss, params = make_problem(2)
    inner = optax.partition({"a": gauss_newton(), "b": optax.set_to_zero()}, {"a": "a", "b": "b"})
    solver = implicit_step(inner, 1.0)
    with pytest.raises(TypeError, match="clos"):
        solver.update(jax.grad(loss)(params), solver.init(params), params, value_fn=loss)

"""Other libraries' least-squares solvers as optax transformations, so that ``pinns.fit`` runs them like ours.

They are given the loss when they are made, because their state holds parts of it.
"""

import functools
import importlib.metadata
import importlib.util
import os
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree

from isgd_optax import LeastSquares


def is_installed(package: str) -> bool:
    """Whether a peer can be imported."""
    return importlib.util.find_spec(package) is not None


def version(package: str) -> str:
    """The distributions that a peer is imported from, with their versions."""
    owners = importlib.metadata.packages_distributions().get(package, [package])  # none owns an editable one
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in sorted(set(owners)))


def optimistix_levenberg_marquardt(rtol: float, loss: LeastSquares) -> optax.GradientTransformationExtraArgs:
    """optimistix.LevenbergMarquardt with matrix-free LSMR solves to ``rtol``."""
    import lineax as lx
    import optimistix as optx

    solver = optx.LevenbergMarquardt(rtol=0.0, atol=0.0, linear_solver=lx.LSMR(rtol=rtol, atol=rtol))
    return _optimistix(lambda params: solver, loss.residuals)


def optimistix_bfgs(loss: LeastSquares) -> optax.GradientTransformationExtraArgs:
    """optimistix.BFGS, whose inverse Hessian is a P×P matrix."""
    import optimistix as optx

    return _optimistix(lambda params: optx.BFGS(rtol=0.0, atol=0.0), loss)


def ssbroyden(loss: LeastSquares) -> optax.GradientTransformationExtraArgs:
    """ssbroyden_optimistix.SSBroyden, the self-scaled Broyden method, with its line search."""
    os.environ.setdefault("SSBROYDEN_ENABLE_X64", "0")  # float64 is the caller's choice
    import ssbroyden_optimistix

    solver = ssbroyden_optimistix.SSBroyden(rtol=0.0, atol=0.0)
    return _optimistix(lambda params: solver, loss)


def randngd_natural_gradient(
    solve: str, damping: str, loss: LeastSquares
) -> optax.GradientTransformationExtraArgs:
    """The natural gradient of randngd in the Gauss–Newton metric, with its line search.

    Args:
      solve: ``"cholesky"``, or ``"nystrom"`` for conjugate gradients with that preconditioner.
      damping: ``"eigenvalue"``, that of its paper, or ``"gain ratio"``, Levenberg's and Marquardt's.
      loss: The loss.
    """
    os.environ.setdefault("RANDNGD_ENABLE_X64", "0")
    import randngd

    # Its losses are halves of sums of squares.
    terms = [(block.fn, block.points, 2 * block.block_weight / block.num_points) for block in loss.blocks]
    rule = randngd.LevenbergMarquardt() if damping == "gain ratio" else None

    def solver_for(params: Any) -> Any:
        if solve == "cholesky":
            metric = randngd.metrics.gauss_newton(terms, params, representation="full")
            return randngd.ngd_solver(randngd.NGDFull(metric, damping=rule))
        metric = randngd.metrics.gauss_newton(terms, params)
        rank = min(500, sum(leaf.size for leaf in jax.tree.leaves(params)))
        return randngd.ngd_solver(
            randngd.NystromNGD(metric, kind="gaussian", ell_max=rank, damping=rule, key=0)
        )

    return _optimistix(solver_for, loss)


def nlls_gram_levenberg_marquardt(
    damping: float, loss: LeastSquares
) -> optax.GradientTransformationExtraArgs:
    """nlls_gram.LevenbergMarquardt with its Cholesky solver and geodesic acceleration."""
    import nlls_gram

    solver: Any = nlls_gram.LevenbergMarquardt(loss.residuals, init_damping=damping)

    return _stepping(solver.init, lambda params, state: solver.update(params, state)[:2])


def _stepping(
    init: Any, step: Callable[[Any, Any], tuple[Any, Any]]
) -> optax.GradientTransformationExtraArgs:
    """The transformation of a solver whose ``step(params, state)`` gives the next of both."""

    def update(updates: Any, state: Any, params: Any = None, **extra_args: Any) -> Any:
        del updates, extra_args
        new, state = step(params, state)
        return optax.tree.sub(new, params), state

    return optax.GradientTransformationExtraArgs(init, update)


def _optimistix(
    solver_for: Callable[[Any], Any], function: Callable[[Any], jax.Array]
) -> optax.GradientTransformationExtraArgs:
    """The steps of an optimistix solver; the parts of its state that are no arrays stay apart."""
    import equinox as eqx

    options: dict[str, Any] = {}
    tags: frozenset[object] = frozenset()
    shared: dict[str, Any] = {}

    def init(params: Any) -> Any:
        solver = solver_for(params)
        fn = eqx.filter_closure_convert(lambda p, _: (function(p), None), params, None)
        shape, aux = jax.eval_shape(lambda p: fn(p, None), params)
        state = solver.init(fn, params, None, options, shape, aux, tags)
        arrays, shared["static"] = eqx.partition(state, eqx.is_array)
        shared.update(fn=fn, solver=solver)
        return arrays

    def step(params: Any, state: Any) -> tuple[Any, Any]:
        whole = eqx.combine(state, shared["static"])
        new, whole, _ = shared["solver"].step(shared["fn"], params, None, options, whole, tags)
        return new, eqx.filter(whole, eqx.is_array)

    return _stepping(init, step)


def jaxopt_levenberg_marquardt(
    damping: float, geodesic: bool, loss: LeastSquares
) -> optax.GradientTransformationExtraArgs:
    """jaxopt.LevenbergMarquardt, matrix-free, on the flat parameters.

    Its CG is stopped after 200 steps: without a limit a single step may take minutes here.
    """
    import jaxopt
    from jaxopt.linear_solve import solve_cg

    def solver_for(params: Any) -> Any:
        unravel = ravel_pytree(params)[1]
        return jaxopt.LevenbergMarquardt(
            lambda flat: loss.residuals(unravel(flat)),
            damping_parameter=damping,
            geodesic=geodesic,
            solver=functools.partial(solve_cg, maxiter=200),
            tol=0.0,
            xtol=0.0,
            gtol=0.0,
            implicit_diff=False,
        )

    def init(params: Any) -> Any:
        return jax.jit(solver_for(params).init_state)(ravel_pytree(params)[0])

    def step(params: Any, state: Any) -> tuple[Any, Any]:
        flat, unravel = ravel_pytree(params)
        new, new_state = solver_for(params).update(flat, state)
        return unravel(new), optax.tree.cast_like(new_state, state)

    return _stepping(init, step)


def somax_gauss_newton(
    policy: str, damping: float, loss: LeastSquares
) -> optax.GradientTransformationExtraArgs:
    """python-somax's dual Gauss–Newton (row Cholesky), with constant or trust-region damping."""
    import somax

    def predict(params: Any, scale: jax.Array) -> jax.Array:
        return scale * loss.residuals(params)  # ½ mean of squares is L/2

    method = somax.egn_mse(
        predict_fn=predict, lam_policy=policy, lam0=damping, record_rho_every_k=1 if policy != "const" else -1
    )

    def step(params: Any, state: Any) -> tuple[Any, Any]:
        count = jax.eval_shape(loss.residuals, params).size
        dtype = jnp.result_type(*jax.tree.leaves(params))
        batch = {"x": jnp.sqrt(jnp.asarray(count, dtype)), "y": jnp.zeros(count, dtype)}
        new, new_state, _ = method.step(params, batch, state, jax.random.key(0))
        return new, optax.tree.cast_like(new_state, state)

    return _stepping(method.init, step)

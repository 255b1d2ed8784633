"""Checks of arguments, with messages that say what to do."""

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.core import Tracer
from jax.extend.core import ClosedJaxpr
from jax.typing import ArrayLike

from isgd_optax._collectives import check_collectives

Fn = TypeVar("Fn")


def check_transformation(name: str, transformation: object) -> None:
    """Raises TypeError unless it has ``init`` and ``update``."""
    if not (
        callable(getattr(transformation, "init", None)) and callable(getattr(transformation, "update", None))
    ):
        raise TypeError(
            f"{name} must be an optax gradient transformation, e.g. optax.adam(1e-3) or "
            f"optax.lbfgs(), got {transformation!r}."
        )


def check_at_least(name: str, value: Any, minimum: int) -> None:
    """Raises ValueError if ``value`` is known now and below ``minimum`` or NaN."""
    _check_number(name, value)
    if not isinstance(value, Tracer) and not value >= minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {value}.")


def check_count(name: str, value: Any, minimum: int) -> Any:
    """``value`` as an integer; raises TypeError or ValueError unless it is a whole number ≥ ``minimum``.

    One that is not known yet is returned as it is; one beyond int32 is as good as its largest number.
    """
    check_at_least(name, value, minimum)
    if isinstance(value, Tracer):
        return value
    if not (np.isfinite(value) and value == int(value)):
        raise ValueError(f"{name} must be a whole number, got {value}.")
    return min(int(value), np.iinfo(np.int32).max)


def _check_number(name: str, value: Any) -> None:
    if not isinstance(value, (int, float, np.ndarray, np.generic, jax.Array)) or jnp.ndim(value) != 0:
        raise TypeError(f"{name} must be a number, got {value!r}.")


def check_positive(name: str, value: Any) -> None:
    """Raises ValueError if ``value`` is known now and not positive and finite."""
    _check_number(name, value)
    if not isinstance(value, Tracer) and not 0 < value < float("inf"):
        raise ValueError(f"{name} must be positive and finite, got {value}.")


def check_in_unit_interval(name: str, value: Any) -> None:
    """Raises ValueError if ``value`` is known now and not in [0, 1)."""
    _check_number(name, value)
    if not isinstance(value, Tracer) and not 0 <= value < 1:
        raise ValueError(f"{name} must be at least 0 and less than 1, got {value}.")


def check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    """Raises ValueError unless ``value`` is one of ``choices``."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}.")


def check_given(params: optax.Params | None, value_fn: Fn | None) -> tuple[optax.Params, Fn]:
    """The parameters and the loss; ValueError where ``update`` was called without one of them."""
    if params is None:
        raise ValueError("implicit_step needs params: call update(grad, state, params, value_fn=loss).")
    if value_fn is None:
        raise ValueError(
            "implicit_step needs value_fn, the loss as a function of the parameters: call "
            "update(grad, state, params, value_fn=loss)."
        )
    if not callable(value_fn):
        raise TypeError(
            f"value_fn must be the loss as a function of the parameters, got {value_fn!r}: hand over loss "
            "itself, not loss(params)."
        )
    return params, value_fn


def check_params(params: optax.Params) -> None:
    """Raises TypeError unless every leaf is a real floating-point array or number.

    Placeholders with a dtype, such as ``jax.ShapeDtypeStruct``, are let through.
    """
    is_masked = lambda x: isinstance(x, optax.MaskedNode)
    for path, leaf in jax.tree_util.tree_leaves_with_path(params, is_leaf=is_masked):
        if is_masked(leaf):
            raise TypeError(
                "implicit_step got masked parameters, on which value_fn cannot be evaluated. Put the "
                "mask inside: implicit_step(optax.partition({'train': optax.adam(1e-3), 'freeze': "
                "optax.set_to_zero()}, labels), ...) instead of optax.masked, optax.partition or "
                "optax.freeze around implicit_step."
            )
        dtype = getattr(leaf, "dtype", None)
        if dtype is None and isinstance(leaf, (bool, int, float, complex)):
            dtype = np.asarray(leaf).dtype
        where = f"params{jax.tree_util.keystr(path)}"
        if dtype is None:
            raise TypeError(
                f"{where} is {leaf!r}, not an array. Give implicit_step the arrays alone and put the model "
                "together inside value_fn; with Equinox: params, static = eqx.partition(model, "
                "eqx.is_inexact_array) and value_fn=lambda params: loss(eqx.combine(params, static))."
            )
        if jnp.issubdtype(dtype, jnp.floating):
            continue
        if jnp.issubdtype(dtype, jnp.complexfloating):
            raise TypeError(
                f"implicit_step needs real parameters, got {dtype} in {where}. Hold real and imaginary parts "
                "as two real arrays and join them inside value_fn."
            )
        raise TypeError(
            f"implicit_step needs floating-point parameters, got {dtype} in {where}. Keep integers out of "
            "params, e.g. close over them in value_fn."
        )


_TRACED = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
)


def check_loss(
    value_fn: Callable[[optax.Params], ArrayLike], params: optax.Params, *others: object
) -> tuple[ClosedJaxpr, jnp.dtype]:
    """``value_fn`` as a program whose constants are all that it closes over, and the dtype of the loss.

    Args:
      value_fn: The loss.
      params: The parameters.
      *others: Pytrees of all else that decides about the steps: gradient and state.

    Raises:
      TypeError: It is not one real floating-point scalar, or ``value_fn`` cannot take ``params`` or does
        not depend on them, or it joins devices that may differ.
    """
    try:
        program, loss = jax.make_jaxpr(value_fn, return_shape=True)(params)
    except (TypeError, AttributeError, KeyError, IndexError) as error:
        # Most often it is the parameters' structure that it did not expect.
        if isinstance(error, _TRACED):
            hint = (
                "It is traced, with numbers that are not known yet: choose by jnp.where or jax.lax.cond, not "
                "by if, and compute with jax.numpy, not with NumPy"
            )
        elif "required positional argument" in str(error):
            hint = (
                "What it needs beside the parameters is handed to update by name, e.g. "
                "update(..., value_fn=loss, batch=batch) for value_fn(params, batch); the names value, grad "
                "and value_fn are taken"
            )
        elif "takes 0 positional arguments" in str(error):
            hint = "It must take the parameters, e.g. value_fn=lambda params: loss(params, batch)"
        elif isinstance(params, jax.Array) and "index" in str(error):
            hint = (
                "If this stands inside optax.flatten, take it out: implicit_step works on any pytree and "
                "hands value_fn the parameters as it gets them"
            )
        else:
            hint = (
                "It is called with the parameters alone, as they are handed to update. A loss of a module "
                "needs the module put together inside, e.g. value_fn=lambda state: "
                "loss(nnx.merge(graphdef, state)) or lambda params: loss(eqx.combine(params, static))"
            )
        raise TypeError(
            f"value_fn raised {type(error).__name__} at params, {_described(params)}: {error}\n{hint}."
        ) from error
    if not hasattr(loss, "shape") or not hasattr(loss, "dtype"):
        raise TypeError(
            f"value_fn must return one scalar, got {loss!r}. With auxiliary outputs, pass "
            "value_fn=lambda params: loss(params)[0]."
        )
    if loss.shape != ():
        raise TypeError(
            f"value_fn must return a scalar, got shape {loss.shape}. Reduce it, e.g. with jnp.mean."
        )
    if not jnp.issubdtype(loss.dtype, jnp.floating):
        raise TypeError(f"value_fn must return a real floating-point scalar, got {loss.dtype}.")
    inputs = {id(variable) for variable in program.jaxpr.invars}
    used = {id(atom) for equation in program.eqns for atom in equation.invars}
    used |= {id(atom) for atom in program.jaxpr.outvars}
    if program.consts and inputs and not inputs & used:
        raise TypeError(
            "value_fn does not depend on the parameters that it is given: it must compute the loss from its "
            "argument, not from parameters that it closes over."
        )
    check_collectives(program, params, *others)
    return program, loss.dtype


def _described(params: optax.Params) -> str:
    if isinstance(params, jax.Array):
        return f"an array of shape {params.shape}"
    return f"a {type(params).__name__}"

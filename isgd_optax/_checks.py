"""Checks of arguments, with messages that say what to do."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.core import Tracer


def check_transformation(name: str, transformation: Any) -> None:
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
    if not isinstance(value, Tracer) and not value >= minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {value}.")


def check_positive(name: str, value: Any) -> None:
    """Raises ValueError if ``value`` is known now and not positive and finite."""
    if not isinstance(value, Tracer) and not 0 < value < float("inf"):
        raise ValueError(f"{name} must be positive and finite, got {value}.")


def check_in_unit_interval(name: str, value: Any) -> None:
    """Raises ValueError if ``value`` is known now and not in [0, 1)."""
    if not isinstance(value, Tracer) and not 0 <= value < 1:
        raise ValueError(f"{name} must be at least 0 and less than 1, got {value}.")


def check_choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    """Raises ValueError unless ``value`` is one of ``choices``."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}.")


def check_params(params: Any) -> None:
    """Raises unless every leaf that has a dtype is real and floating."""
    leaves = jax.tree.leaves(params, is_leaf=lambda x: isinstance(x, optax.MaskedNode))
    if any(isinstance(leaf, optax.MaskedNode) for leaf in leaves):
        raise TypeError(
            "implicit_step got masked parameters, on which value_fn cannot be evaluated. Put the "
            "mask inside: implicit_step(optax.partition({'train': optax.adam(1e-3), 'freeze': "
            "optax.set_to_zero()}, labels), ...) instead of optax.masked, optax.partition or "
            "optax.freeze around implicit_step."
        )
    for leaf in leaves:
        dtype = getattr(leaf, "dtype", None)
        if dtype is None and isinstance(leaf, (bool, int, float, complex)):
            dtype = np.asarray(leaf).dtype
        if dtype is None or jnp.issubdtype(dtype, jnp.floating):
            continue
        if jnp.issubdtype(dtype, jnp.complexfloating):
            raise TypeError(
                f"implicit_step needs real parameters, got {dtype}. Hold real and imaginary parts "
                "as two real arrays and join them inside value_fn."
            )
        raise TypeError(
            f"implicit_step needs floating-point parameters, got {dtype}. Keep integers out of "
            "params, e.g. close over them in value_fn."
        )


def check_loss(loss: Any) -> None:
    """Raises TypeError unless ``loss`` is one real floating-point scalar."""
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

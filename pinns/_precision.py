"""Products that an accelerator makes with fewer digits than their numbers have."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Jaxpr

from pinns._bounds import inner_programs

_PRODUCTS = ("dot_general", "conv_general_dilated")


def has_coarse_products(jaxpr: Jaxpr) -> bool:
    """Whether float32 matrices are multiplied in the default precision of a device that is no CPU.

    That is TF32 on GPUs and bfloat16 on TPUs: three digits or two. Who sets ``jax_default_matmul_precision``,
    or the precision of a product, has chosen.
    """
    return jax.default_backend() != "cpu" and _has_default_products(jaxpr)


def _has_default_products(program: ClosedJaxpr | Jaxpr) -> bool:
    jaxpr = program.jaxpr if isinstance(program, ClosedJaxpr) else program
    for equation in jaxpr.eqns:
        default = equation.primitive.name in _PRODUCTS and equation.params["precision"] is None
        if default and any(_dtype(atom) == jnp.float32 for atom in equation.invars):
            return True
        if any(map(_has_default_products, inner_programs(equation.params))):
            return True
    return False


def _dtype(atom: Any) -> Any:
    return atom.aval.dtype

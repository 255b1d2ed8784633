"""An identity that lets forward-mode derivatives pass and explains why reverse mode cannot."""

from typing import Any

import jax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir


def forbid_reverse_mode(tree: Any) -> Any:
    """``tree`` unchanged; differentiating it in reverse mode raises an instructive error."""
    return jax.tree.map(_forward_only.bind, tree)


def _refuse(cotangent, x):
    del cotangent, x
    raise TypeError(
        "Reverse-mode differentiation through implicit_step is not possible: its inner loop is a "
        "jax.lax.while_loop, of unknown length. Use forward mode (jax.jvp, jax.jacfwd), or stop "
        "the gradient with jax.lax.stop_gradient on the updates."
    )


# A primitive of its own: custom_jvp and custom_vjp exclude each other, and linear_call has no vmap.
_forward_only = Primitive("forward_only")
_forward_only.def_impl(lambda x: x)
_forward_only.def_abstract_eval(lambda x: x)
ad.deflinear2(_forward_only, _refuse)
batching.primitive_batchers[_forward_only] = lambda args, dims: (_forward_only.bind(*args), *dims)
mlir.register_lowering(_forward_only, lambda context, x: [x])

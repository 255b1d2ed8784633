"""An identity that lets forward-mode derivatives pass and explains why reverse mode cannot."""

from typing import Any

import jax


def forbid_reverse_mode(tree: Any) -> Any:
    """``tree`` unchanged; differentiating it in reverse mode raises an instructive error."""

    @jax.custom_jvp
    def identity(x):
        return x

    @identity.defjvp
    def identity_jvp(primals, tangents):
        (x,), (dx,) = primals, tangents
        return x, jax.custom_derivatives.linear_call(lambda _, t: t, _refuse, (), dx)

    return jax.tree.map(identity, tree)


def _refuse(residuals, cotangent):
    del residuals, cotangent
    raise TypeError(
        "Reverse-mode differentiation through implicit_step is not possible: its inner loop is a "
        "jax.lax.while_loop, of unknown length. Use forward mode (jax.jvp, jax.jacfwd), or stop "
        "the gradient with jax.lax.stop_gradient on the updates."
    )

"""The centre of the proximal term under momentum."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from isgd_optax._norms import advanced
from isgd_optax._tree import own


class Momentum(NamedTuple):
    """What momentum carries from step to step.

    Attributes:
      previous: The parameters θₙ₋₁ at which the last step began: what follows in a chain may change the
        step.
      loss_before: The loss there, on the data of that step; infinite before the first one.
    """

    previous: optax.Params
    loss_before: jax.Array

    @classmethod
    def none(cls, params: optax.Params, dtype: jnp.dtype) -> "Momentum":
        """Before the first step."""
        return cls(own(optax.tree.zeros_like(params)), jnp.full((), jnp.inf, dtype))

    def center(self, params: optax.Params, factor: ArrayLike, loss: jax.Array) -> optax.Params:
        """θₙ + μ(θₙ − θₙ₋₁), or θₙ where the last step has raised the loss, on new data for instance."""
        before = self.loss_before
        falls = (loss.astype(before.dtype) <= before) & jnp.isfinite(before)
        factor = jnp.where(falls, jnp.asarray(factor, before.dtype), 0)
        step = optax.tree.sub(params, self.previous)
        return advanced(params, factor, step)

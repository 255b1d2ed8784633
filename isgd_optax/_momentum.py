"""The centre of the proximal term under momentum."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from isgd_optax._tree import own


class Momentum(NamedTuple):
    """What momentum carries from step to step.

    Attributes:
      displacement: The last step θₙ − θₙ₋₁.
      loss_before: The loss at its start, on the data of that step; infinite before the first one.
    """

    displacement: optax.Updates
    loss_before: jax.Array

    @classmethod
    def none(cls, params: optax.Params, dtype: jnp.dtype) -> "Momentum":
        """Before the first step."""
        return cls(own(optax.tree.zeros_like(params)), jnp.full((), jnp.inf, dtype))

    def center(self, params: optax.Params, factor: ArrayLike, loss: jax.Array) -> optax.Params:
        """θₙ + μ(θₙ − θₙ₋₁), or θₙ where the last step has raised the loss, on new data for instance."""
        before = self.loss_before
        falls = loss.astype(before.dtype) <= before
        factor = jnp.where(falls, jnp.asarray(factor, before.dtype), 0)
        return optax.tree.cast_like(optax.tree.add_scale(params, factor, self.displacement), params)

"""Coefficients of an equation that are to be found, trained beside the network."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

Values = dict[str, jax.Array]


@dataclasses.dataclass(frozen=True)
class Unknown:
    """A coefficient that a problem does not know.

    Args:
      start: Where the training begins, a number or an array.
      positive: Whether the coefficient is positive: its logarithm is then what is trained.

    Raises:
      TypeError: A start that is no real number.
      ValueError: A start that is not finite, or not positive where ``positive``.

    Examples:
      >>> from pinns import Unknown
      >>> Unknown(100.0, positive=True)
      Unknown(start=100.0, positive=True)
    """

    start: ArrayLike
    positive: bool = False

    def __post_init__(self) -> None:
        start = np.asarray(self.start)
        if not np.issubdtype(start.dtype, np.number) or np.iscomplexobj(start):
            raise TypeError(f"an unknown needs a real number to start from, got {self.start!r}.")
        if not np.all(np.isfinite(start)) or (self.positive and not np.all(start > 0)):
            raise ValueError(
                f"an unknown needs a finite start{', above zero' * self.positive}, got {self.start}."
            )

    def initial(self, dtype: jnp.dtype) -> jax.Array:
        """What is trained, at the start."""
        start = jnp.asarray(self.start, dtype)
        return jnp.log(start) if self.positive else start

    def value(self, trained: jax.Array) -> jax.Array:
        """The coefficient, given what is trained."""
        return jnp.exp(trained) if self.positive else trained

    def slope(self, trained: jax.Array) -> jax.Array:
        """The derivative of the coefficient by what is trained."""
        return jnp.exp(trained) if self.positive else jnp.ones_like(trained)


def declared(unknowns: Mapping[str, Unknown | ArrayLike]) -> dict[str, Unknown]:
    """``unknowns`` of a problem, with plain numbers as starts.

    Raises:
      TypeError: Something else than coefficients by name.
    """
    if not isinstance(unknowns, Mapping):
        raise TypeError(f"unknowns are coefficients by name, e.g. {{'k': Unknown(1.0)}}, got {unknowns!r}.")
    return {
        name: unknown if isinstance(unknown, Unknown) else Unknown(unknown)
        for name, unknown in unknowns.items()
    }


class Solution:
    """What a residual sees of a trained function: the network or networks, and the unknown coefficients.

    Called, it is the network, or the first of several. Attributes are those of that network.

    Args:
      networks: Networks by name.
      unknowns: The coefficients by name, empty if there are none.
    """

    def __init__(self, networks: Mapping[str, Any], unknowns: Values):
        self._networks = dict(networks)
        self._main = next(iter(self._networks.values()))
        self.unknowns = unknowns

    def __call__(self, x: Any) -> Any:
        """The (first) network at ``x``."""
        return self._main(x)

    def __getitem__(self, name: str) -> Any:
        """One of several networks."""
        if name not in self._networks:
            raise KeyError(f"there is no network {name!r}; the model holds {sorted(self._networks)}.")
        return self._networks[name]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "_main" not in self.__dict__:
            raise AttributeError(name)
        return getattr(self._main, name)

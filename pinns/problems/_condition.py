"""A condition on the solution: an equation, a boundary or initial value, measured data."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.typing import ArrayLike

from pinns._regions import Region


@dataclasses.dataclass(frozen=True)
class Condition:
    """Something that the solution must satisfy at the points of a region.

    Args:
      residual: ``residual(u, x)``, zero where it holds; ``u`` is the network, ``x`` one point of
        shape (d,). A method of the problem, so that equal problems share compiled code.
      region: Where it holds.
      num_points: The number of points that the loss takes there.
      weight: The weight ω of paper Eq. 6, or a function ``weight(x)`` of one point. The loss is the mean
        over the points of the weighted squares, summed over the components of a residual.
      noisy: Whether it compares with measured values, whose noise is what makes unknown coefficients
        uncertain.
      loss: None for squares, or a convex function of the residual at one point, or of the residual and the
        point, see :class:`isgd_optax.Residual`: ``optax.huber_loss`` for data with outliers. The loss is the
        mean of its weighted values. Give the same function every time: another one is compiled anew.
      size: The size of its residual: the weight is divided by its square. :func:`pinns.scaled` measures it.

    Raises:
      ValueError: ``num_points`` < 1, a negative weight, or a size that is not positive.
      TypeError: A weight that is not one number, points that are no whole number, a loss that is no function,
        or no region.
    """

    residual: Callable[[Any, Any], jax.Array]
    region: Region
    num_points: int
    weight: float | Callable[[Any], ArrayLike] = 1.0
    noisy: bool = False
    loss: Callable[..., ArrayLike] | None = None
    size: float = 1.0

    def __post_init__(self) -> None:
        if self.loss is not None and not callable(self.loss):
            raise TypeError(f"a condition's loss must be a function of the residual, got {self.loss!r}.")
        if isinstance(self.region, type) or not callable(getattr(self.region, "sample", None)):
            raise TypeError(
                "a condition's region must be a Box, one of its faces, a Ball, FixedPoints, ... or an object "
                f"with sample(key, num_points, method, dtype), got {self.region!r}."
            )
        if not hasattr(self.num_points, "__index__"):
            raise TypeError(f"num_points must be an integer, got {self.num_points!r}.")
        if self.num_points < 1:
            raise ValueError(f"a condition needs num_points ≥ 1, got {self.num_points}.")
        if not (self.size > 0 and np.isfinite(self.size)):
            raise ValueError(f"a condition's size must be positive and finite, got {self.size}.")
        if callable(self.weight):
            return
        if np.ndim(self.weight) != 0:
            raise TypeError(
                "a condition's weight must be one number, or a function weight(x) of one point, got shape "
                f"{np.shape(self.weight)}. To weight the components of a residual, multiply the residual by "
                "the root of the weight of each, e.g. jnp.sqrt(jnp.array([1.0, 10.0])) * r."
            )
        if not isinstance(self.weight, jax.Array | np.generic | float | int):
            raise TypeError(f"a condition's weight must be a number or a function, got {self.weight!r}.")
        weight = np.asarray(self.weight)  # a number, also while a program is traced
        if not (weight >= 0 and np.isfinite(weight)):
            raise ValueError(f"a condition needs a finite weight ≥ 0, got {self.weight}.")

    def weights(self, points: Any) -> ArrayLike:
        """The weight of the loss, or those of all points, shape (N,)."""
        weight = self.scaled_weight
        if not callable(weight):
            return weight
        try:
            weights = jax.vmap(weight)(points)
        except Exception as error:  # whatever it is, it goes on its way with a note
            error.add_note(
                "In the weight of a condition. Like the residual it is given one point; where the region has "
                "values a dictionary: x['x'] is the point and x['value'] its value."
            )
            raise
        if np.ndim(weights) != 1:
            got = "None" if weights is None else f"an array of shape {np.shape(weights)[1:]}"
            raise TypeError(
                "the weight of a condition must be one number for a point, a scalar such as 1 - x[0] ** 2, "
                f"got {got}: choose an entry, x[0], and return it."
            )
        return weights

    @property
    def scaled_weight(self) -> float | Callable[[Any], ArrayLike]:
        """The weight over the square of the size, a number or a function of one point."""
        if self.size == 1:
            return self.weight
        by = self.size**2
        return _Divided(self.weight, by) if callable(self.weight) else self.weight / by


@dataclasses.dataclass(frozen=True)
class _Divided:
    """A weight that depends on the point, divided by a number."""

    weight: Callable[[Any], Any]
    by: float

    def __call__(self, x: Any) -> Any:
        return self.weight(x) / self.by

"""Given points: measurements, nodes of a quadrature rule, any set that stays."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike, DTypeLike

from pinns._identity import ByContent, digest
from pinns._samplers import Sampler


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class FixedPoints:
    r"""Given points, always all of them, whatever number or method is asked for.

    With values measured there a residual gets both, as ``p["x"]`` and ``p["value"]``. A point may be an
    array of any shape: of shape (Q, d) it holds Q nodes, over which a residual sums an integral.
    ``batch_size`` of a training splits them as it splits drawn points.

    Args:
      points: The points, shape (N, ...).
      values: What was measured there, shape (N, ...), or None.

    Raises:
      ValueError: No points, numbers that are not finite, or another number of values.

    Examples:
      Measurements, and the trapezoidal rule for one integral:

      >>> import numpy as np
      >>> from pinns import Condition, FixedPoints
      >>> data = FixedPoints(np.array([[0.1], [0.7]]), np.array([[1.0], [3.0]]))
      >>> Condition(lambda u, p: u(p["x"]) - p["value"], data, data.num_points).num_points
      2
      >>> FixedPoints(np.linspace(0, 1, 401).reshape(1, 401, 1)).num_points
      1
    """

    points: Any
    values: Any = None

    def __init__(self, points: ArrayLike, values: ArrayLike | None = None):
        object.__setattr__(self, "points", _own("points", points))
        object.__setattr__(self, "values", None if values is None else _own("values", values))
        if self.values is not None and len(self.values) != len(self.points):
            raise ValueError(f"{len(self.points)} points need as many values, got {len(self.values)}.")

    @property
    def num_points(self) -> int:
        """The number N of points."""
        return len(self.points)

    def sample(self, key: jax.Array, num_points: int, method: str | Sampler, dtype: DTypeLike) -> Any:
        """All points, shape (N, ...), or ``{"x": points, "value": values}``."""
        del key, num_points, method
        points = jnp.asarray(self.points, dtype)
        return points if self.values is None else {"x": points, "value": jnp.asarray(self.values, dtype)}

    def __hash__(self) -> int:
        return hash(ByContent(self))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FixedPoints) and ByContent(self) == ByContent(other)

    def __repr__(self) -> str:
        shapes = [str(array.shape) for array in (self.points, self.values) if array is not None]
        return f"FixedPoints({', '.join(shapes)}, {digest([self.points, self.values])[:8]})"


def _own(name: str, given: ArrayLike) -> np.ndarray:
    """A copy that cannot change."""
    array = np.array(given)
    if not (np.issubdtype(array.dtype, np.floating) or np.issubdtype(array.dtype, np.integer)):
        raise ValueError(f"{name} must be real numbers, got {array.dtype}.")
    if array.ndim == 0 or not array.size:
        raise ValueError(f"{name} must have shape (N, ...) with N ≥ 1, got {array.shape}.")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite; leave out what was not measured.")
    array.setflags(write=False)
    return array

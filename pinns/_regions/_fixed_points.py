"""Given points, with or without values: measurements, nodes of a quadrature."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from numpy.typing import ArrayLike

from pinns._identity import ByContent, digest
from pinns._numbers import unmasked
from pinns._samplers import Sampler


class FixedPoints:
    """A region of given points, all of which the loss takes, however many are asked for.

    Args:
      points: The points, shape (N, d); or (N, ...) for a residual that looks at several points at once, e.g.
        (1, n, d) for an integral over n nodes.
      values: Values that belong to them, shape (N, m) or (N,), e.g. measurements. A residual is then given
        a dictionary: ``x["x"]``, shape (d,), and ``x["value"]``, shape (m,).

    ``batch_size`` of a training splits them as it splits drawn points; give its condition
    ``num_points=region.num_points``.

    Raises:
      ValueError: No points, points that are not finite, not real or masked, or values of another number.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> from pinns import FixedPoints
      >>> data = FixedPoints([[0.0], [0.5]], [[1.0], [0.6]])
      >>> print(data.sample(jax.random.key(0), 2, "uniform", jnp.float32)["value"][:, 0])
      [1.  0.6]
      >>> data == FixedPoints([[0.0], [0.5]], [[1.0], [0.6]])
      True

      The trapezoidal rule, 401 nodes that belong to one residual:

      >>> FixedPoints(jnp.linspace(0, 1, 401).reshape(1, 401, 1)).num_points
      1
    """

    def __init__(self, points: ArrayLike, values: ArrayLike | None = None):
        if any(np.issubdtype(np.asarray(a).dtype, np.datetime64) for a in (points, values) if a is not None):
            raise ValueError("FixedPoints needs numbers: subtract a first time and divide by a unit of time.")
        if np.iscomplexobj(points) or (values is not None and np.iscomplexobj(values)):
            raise ValueError("FixedPoints needs real numbers: give the imaginary part as a second value.")
        self.points = np.array(unmasked("points of FixedPoints", points), dtype=float)
        given = unmasked("values of FixedPoints", values)
        self.values = None if given is None else np.array(given, dtype=float)
        if self.points.ndim < 2 or not self.points.size or not np.all(np.isfinite(self.points)):
            raise ValueError(
                f"FixedPoints needs finite points of shape (N, d), got an array of shape {self.points.shape}."
            )
        if self.values is not None:
            if self.values.ndim < 2:
                self.values = self.values.reshape(-1, 1)
            if len(self.values) != len(self.points):
                raise ValueError(
                    f"FixedPoints needs one finite value for each of its {len(self.points)} points, got "
                    f"{len(self.values)}, an array of shape {self.values.shape}."
                )
            finite = np.isfinite(self.values).reshape(len(self.values), -1)
            missing = np.flatnonzero(~finite.all(axis=1))
            if missing.size:
                advice = (
                    "Leave those points out."
                    if not finite[missing].any()
                    else "Where only some values of a point are missing, give each output FixedPoints and a "
                    "condition of its own, or zeros for them and a column more that is 0 there and else 1, "
                    "by which the residual is multiplied."
                )
                raise ValueError(
                    f"FixedPoints needs one finite value for each point: {missing.size} of "
                    f"{len(self.values)} rows have NaN or infinity, the first is row {missing[0]}. {advice}"
                )
            self.values.setflags(write=False)
        self.points.setflags(write=False)  # equal objects stay equal
        self._content = ByContent([self.points, self.values])

    @property
    def num_points(self) -> int:
        """The number N of points."""
        return len(self.points)

    def sample(self, key: jax.Array, num_points: int, method: str | Sampler, dtype: DTypeLike) -> Any:
        """All points, with their values if there are any; ``key``, number and method do not matter."""
        del key, num_points, method
        points = jnp.asarray(self.points, dtype)
        return points if self.values is None else {"x": points, "value": jnp.asarray(self.values, dtype)}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FixedPoints) and self._content == other._content

    def __hash__(self) -> int:
        return hash(self._content)

    def __repr__(self) -> str:
        shapes = [array.shape for array in (self.points, self.values) if array is not None]
        return f"FixedPoints({', '.join(map(str, shapes))}, {digest([self.points, self.values])})"

"""Which singular values of a Jacobian are no more than rounding."""

import jax
import jax.numpy as jnp
import optax


def rounding(rows: jax.Array, params: optax.Params, name: str) -> float:
    """What rounding makes of a singular value 0, at most, as a share of the largest.

    Each number of J is rounded by itself, so that this grows with the smaller side of J and not with its
    number of points: of dependent columns it was 2 roundings at most, for 100 to 1,000,000 points.

    Args:
      rows: J, shape (N, P).
      params: The parameters at which it was taken; the narrowest of their dtypes counts.
      name: Who asks, for the message.

    Returns:
      The share.

    Raises:
      TypeError: Parameters of half precision, in which this is no small share.
    """
    dtypes = [rows.dtype, *map(jnp.result_type, jax.tree.leaves(params))]
    narrow = [str(dtype) for dtype in dtypes if jnp.finfo(dtype).bits < 32]
    if narrow:
        raise TypeError(
            f"{name} needs float64, or float32 at least, and some parameters are {narrow[0]}, whose rounding "
            "decides the result. Cast parameters and points: jax.tree.map(lambda x: x.astype(float), params)."
        )
    return max(min(rows.shape), 10) * max(float(jnp.finfo(dtype).eps) for dtype in dtypes)

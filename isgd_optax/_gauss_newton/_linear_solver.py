"""What a solver of the damped linear least-squares problem is: a value that brings its own costs."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp


class Sizes(NamedTuple):
    """The numbers from which the costs of a linear solver are estimated, all known at trace time.

    Attributes:
      num_residuals: Number N of rows of J.
      num_params: Number P of columns of J.
      itemsize: Bytes per number of the matrices, 4 or 8.
      num_factors: Numbers held in the layers' factors, from which K = JJᵀ is formed; None where the rows
        of J are needed for it.
      largest_layer: Parameters of the largest layer whose own rows of J are formed on the way to K.
      block_rows: Rows of J that are differentiated at once where J is never whole.
      gram_flops: Operations that form K; None stands for N²P, half the product of J with its transpose.
      device_rows: Rows of J that one device holds where several share them, and K is formed from rows; None
        where one holds all.
    """

    num_residuals: int
    num_params: int
    itemsize: int = 8
    num_factors: int | None = None
    largest_layer: int = 0
    block_rows: int = 256
    gram_flops: float | None = None
    device_rows: int | None = None


class Jacobian(Protocol):
    """The Jacobian J of N residuals by P parameters, as a linear solver sees it.

    All vectors are flat and of ``dtype``, the widest float that is enabled. A metric of the damping is
    already built in: the damping is λ‖e‖² with the Euclidean norm.
    """

    @property
    def sizes(self) -> Sizes:
        """The sizes that decide what a solver costs."""
        ...

    @property
    def num_residuals(self) -> int:
        """The number N of residuals."""
        ...

    @property
    def num_params(self) -> int:
        """The number P of parameters."""
        ...

    @property
    def dtype(self) -> jnp.dtype:
        """The dtype of all vectors and matrices."""
        ...

    def mv(self, v: jax.Array, /) -> jax.Array:
        """J v, shape (N,), for v of shape (P,)."""
        ...

    def rmv(self, y: jax.Array, /) -> jax.Array:
        """Jᵀ y, shape (P,), for y of shape (N,)."""
        ...

    def gram(self) -> jax.Array:
        """K = JJᵀ, shape (N, N), symmetric."""
        ...

    def normal(self) -> jax.Array:
        """JᵀJ, shape (P, P), symmetric."""
        ...

    def rows(self) -> jax.Array:
        """J itself, shape (N, P)."""
        ...


Solve = Callable[[jax.Array, jax.Array], tuple[jax.Array, jax.Array]]
"""``solve(λ, s) -> (e, num_products)``: see :class:`LinearSolver`."""


class LinearSolver(NamedTuple):
    r"""A solver of the damped linear least-squares problem for several λ and s.

    .. math:: \min_e \lVert s + J e \rVert^2 + \lambda \lVert e \rVert^2

    A value of pure functions: a solver of your own is one more value of this type.

    Attributes:
      name: Its name in messages.
      init: ``init(jacobian) -> solve`` computes what depends on J alone. ``solve(λ, s)`` takes the damping
        λ, a scalar, and the data s, shape (N,), both of the Jacobian's dtype, and returns the minimiser e,
        shape (P,), not finite where a factorisation fails, and how many products with J and Jᵀ, counted in
        pairs, were made by differentiation, int32: each is about as dear as a gradient.
      num_bytes: ``num_bytes(sizes)`` estimates the peak memory in bytes.
      num_flops: ``num_flops(sizes)`` estimates the operations of one ``init`` and one ``solve``; None where
        they depend on more than sizes. :func:`auto` then takes the solver only if no other fits in memory.
      num_init_products: ``num_init_products(sizes)`` counts the products that ``init`` makes, in pairs.

    Examples:
      A solver for a J that is small enough for the pseudoinverse:

      >>> import jax.numpy as jnp
      >>> from isgd_optax.linear_solvers import LinearSolver
      >>> def init(jacobian):
      ...     rows = jacobian.rows()
      ...     def solve(damping, data):
      ...         below = jnp.sqrt(damping) * jnp.eye(jacobian.num_params)
      ...         stacked = jnp.concatenate([rows, below])
      ...         padded = jnp.concatenate([-data, jnp.zeros(jacobian.num_params)])
      ...         return jnp.linalg.pinv(stacked) @ padded, jnp.zeros((), jnp.int32)
      ...     return solve
      >>> solver = LinearSolver("pinv", init, lambda s: 4 * s.itemsize * s.num_residuals * s.num_params)
    """

    name: str
    init: Callable[[Jacobian], Solve]
    num_bytes: Callable[[Sizes], int]
    num_flops: Callable[[Sizes], float] | None = None
    num_init_products: Callable[[Sizes], int] = lambda sizes: 0

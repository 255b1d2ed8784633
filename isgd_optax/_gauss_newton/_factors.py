"""Derivatives of residuals by each parameter array, in factors where the array is a matrix in products."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from isgd_optax._gauss_newton._program import Program
from isgd_optax._sharding import varying_as
from isgd_optax._tree import ArrayTree

ResidualFn = Callable[[Any, Any], ArrayLike]  # of any two pytrees, parameters and a point
Unflatten = Callable[[Sequence[jax.Array]], ArrayTree]  # from their leaves to the parameters

_MAX_SUMMED = 8  # products that are faster summed element by element than by many small matrix products


class Product(NamedTuple):
    r"""Part of the derivative of residuals by a matrix W, :math:`\sum_s z_s \otimes g_{ks}` at each point.

    For products :math:`y_s = z_s W` the cotangents are :math:`g_{ks} = \partial r_k / \partial y_s`. A pytree
    whose leaves are the arrays.

    Attributes:
      inputs: Vectors z, shape (N, S, in), for S products at each of N points.
      cotangents: Vectors g, shape (N, M, S, out), for M residuals at each point.
      input_axis: Axis of W that z goes with: 0 for z W, where g goes with axis 1; 1 for z Wᵀ.
    """

    inputs: jax.Array
    cotangents: jax.Array
    input_axis: int = 0

    def rows(self) -> jax.Array:
        """The derivative by W, its elements row by row, shape (N, M, size)."""
        n, m = self.cotangents.shape[:2]
        sides = self.inputs[:, None], self.cotangents
        return sum_of_outer_products(*(sides if self.input_axis == 0 else sides[::-1])).reshape(n, m, -1)


def sum_of_outer_products(a: jax.Array, b: jax.Array) -> jax.Array:
    """Σ_s a_s ⊗ b_s, shape (..., I, O), for arrays (..., S, I) and (..., S, O)."""
    num_streams = a.shape[-2]
    if num_streams > _MAX_SUMMED:
        return jnp.einsum("...si,...so->...io", a, b, precision="highest")
    total = a[..., 0, :, None] * b[..., 0, None, :]
    for s in range(1, num_streams):
        total += a[..., s, :, None] * b[..., s, None, :]
    return total


class LeafFactors(NamedTuple):
    """The derivative of residuals by one parameter array: the sum of ``products`` and ``rows``.

    Attributes:
      products: Derivatives as a matrix in products; an array of more or fewer dimensions is a matrix of
        which the elements lie row by row in the array. At most one product for each ``input_axis``.
      rows: Derivatives by all other uses, shape (N, M, size); None if there are none.
      size: The number of elements of the array.
    """

    products: tuple[Product, ...]
    rows: jax.Array | None
    size: int

    @property
    def used(self) -> bool:
        """Whether the residuals depend on the array."""
        return bool(self.products) or self.rows is not None

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of points N and of residuals M at each."""
        array = self.rows if self.rows is not None else self.products[0].cotangents
        return array.shape[0], array.shape[1]


jax.tree_util.register_pytree_node(
    Product, lambda p: ((p.inputs, p.cotangents), p.input_axis), lambda axis, arrays: Product(*arrays, axis)
)
jax.tree_util.register_pytree_node(
    LeafFactors, lambda f: ((f.products, f.rows), f.size), lambda size, parts: LeafFactors(*parts, size)
)


class LeafWay(NamedTuple):
    """How residuals depend on one parameter array.

    Attributes:
      rows: Whether it enters otherwise than as a matrix in products or as an added vector.
      reason: Names of the JAX primitives that take it, of those that make it need rows if there are any;
        empty if it is not used.
    """

    rows: bool
    reason: str


def block_factors(
    fn: ResidualFn, params: optax.Params, points: ArrayTree, basis: jax.Array | None = None
) -> list[LeafFactors]:
    """Derivatives of the residuals at every point by each parameter array.

    The function's jaxpr tells which products of matrices the parameters are in, whatever library the
    network was written with and however its derivatives are taken. Zeros are added to each product; the
    residuals' derivatives by these are cotangents, the other operand of the product gives the inputs.
    What enters in any other way is differentiated as it is, and gives rows for that array alone.

    Args:
      fn: ``fn(params, point)``, the M residuals at one point, of any shape.
      params: A pytree of arrays.
      points: A pytree of arrays that share their leading axis N, the points.
      basis: Shape (N, M', M), if the derivatives of the products of it with the residuals are wanted.

    Returns:
      One :class:`LeafFactors` for each leaf of ``params``, in the order of ``jax.tree.leaves``. At least
      one of them has derivatives, which are 0 if the residuals depend on no parameter.

    Raises:
      TypeError: Residuals or parameters are complex.
      ValueError: There are no parameters.

    References:
      Novak, Sohl-Dickstein and Schoenholz, Fast finite width neural tangent kernel, 2022 (structured
      derivatives). Martens and Grosse, Optimizing neural networks with Kronecker-factored approximate
      curvature, 2015 (activations and backpropagated derivatives of a layer).
    """
    leaves, structure = jax.tree.flatten(params)
    unflatten = functools.partial(jax.tree.unflatten, structure)
    if not leaves:
        raise ValueError("the parameters have no leaves, there is nothing to differentiate by.")
    leaves = varying_as([jnp.asarray(leaf) for leaf in leaves], leaves, points, basis)
    if basis is None:
        return jax.vmap(lambda point: _at_point(fn, leaves, unflatten, point, None))(points)
    return jax.vmap(lambda point, rows: _at_point(fn, leaves, unflatten, point, rows))(points, basis)


def leaf_ways(fn: ResidualFn, params: optax.Params, point: ArrayTree) -> tuple[LeafWay, ...]:
    """How the residuals at a point depend on each parameter array, in the order of ``jax.tree.leaves``.

    Args:
      fn: ``fn(params, point)``, the residuals at one point.
      params: A pytree of arrays.
      point: One point.

    Raises:
      TypeError: Residuals or parameters are complex.
    """
    leaves, structure = jax.tree.flatten(params)
    unflatten = functools.partial(jax.tree.unflatten, structure)
    ways = []
    for leaf, uses in zip(leaves, _program(fn, leaves, unflatten, point).ways, strict=True):
        added = {"add", "sub", "add_any"} if jnp.ndim(leaf) <= 1 else set()
        odd = tuple(name for name, in_product in uses.items() if not in_product and name not in added)
        ways.append(LeafWay(bool(odd), ", ".join(odd or uses)))
    return tuple(ways)


def _program(fn: ResidualFn, leaves: list[jax.Array], unflatten: Unflatten, point: ArrayTree) -> Program:
    def residuals(leaves: list[jax.Array], point: ArrayTree) -> jax.Array:
        r = jnp.ravel(jnp.asarray(fn(unflatten(leaves), point)))
        for name, array in [("residuals", r), *(("parameters", leaf) for leaf in leaves)]:
            if jnp.issubdtype(jnp.result_type(array), jnp.complexfloating):
                raise TypeError(
                    f"{name} must be real, got {jnp.result_type(array)}: split them into real and imaginary "
                    "parts, e.g. return jnp.stack([r.real, r.imag])."
                )
        return r if jnp.issubdtype(r.dtype, jnp.floating) else r.astype(float)

    return Program(jax.make_jaxpr(residuals)(leaves, point), len(leaves))


def _at_point(
    fn: ResidualFn, leaves: list[jax.Array], unflatten: Unflatten, point: ArrayTree, basis: jax.Array | None
) -> list[LeafFactors]:
    """The factors at one point: arrays as in :class:`LeafFactors`, without the axis of points."""
    program = _program(fn, leaves, unflatten, point)
    # A derivative by what all devices of a shard_map share is summed over them: here each has its own.
    varying = varying_as(leaves, leaves, program.closed.consts)
    if varying is not leaves:
        leaves, program = varying, _program(fn, varying, unflatten, point)
    own = sorted(program.live)

    def residuals(taps: list[jax.Array], live: list[jax.Array]) -> tuple[jax.Array, list[jax.Array]]:
        arrays = list(leaves)
        for k, leaf in zip(own, live, strict=True):
            arrays[k] = leaf
        return program.run(leaves, arrays, jax.tree.leaves(point), taps)

    taps = varying_as([jnp.zeros(tap.shape, tap.dtype) for tap in program.taps], leaves)
    r, pull, inputs = jax.vjp(residuals, taps, [leaves[k] for k in own], has_aux=True)
    if basis is None and r.size == 1:  # a vmap would be one more axis in every operation
        by_tap, by_leaf = jax.tree.map(lambda g: g[None], pull(jnp.ones_like(r)))
    else:
        seeds = jnp.eye(r.size, dtype=r.dtype) if basis is None else basis.astype(r.dtype)
        by_tap, by_leaf = jax.vmap(pull)(varying_as(seeds, r))

    num_rows = r.size if basis is None else basis.shape[0]
    streams: dict[tuple[int, int], list[tuple[jax.Array, jax.Array]]] = {}
    for (tap, use), given in zip(program.uses, inputs, strict=True):
        axis = 1 - use.matrix.input_axis
        g = jnp.transpose(by_tap[tap], (0, *(k + 1 for k in use.to_cotangents)))
        g = use.matrix.widen(g.reshape(num_rows, -1, use.matrix.size[axis]), axis)
        streams.setdefault((use.leaf, use.matrix.input_axis), []).append((given, g))
    rows = {k: g.reshape(num_rows, -1) for k, g in zip(own, by_leaf, strict=True)}
    if not streams and not rows:
        rows[0] = jnp.zeros((num_rows, leaves[0].size), r.dtype)

    factors = []
    for k, leaf in enumerate(leaves):
        given = [(axis, streams[k, axis]) for axis in (0, 1) if (k, axis) in streams]
        products = tuple(
            Product(
                jnp.concatenate([z for z, _ in pairs]), jnp.concatenate([g for _, g in pairs], axis=1), axis
            )
            for axis, pairs in given
        )
        factors.append(LeafFactors(products, rows.get(k), math.prod(leaf.shape)))
    return factors

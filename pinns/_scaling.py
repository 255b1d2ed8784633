"""Inputs, outputs and residuals brought to size one, from the domain and the equation."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
import optax

from isgd_optax import Residual
from pinns._embeddings import holds_units, units_of
from pinns._evaluation import predict
from pinns._functional import params_dtype
from pinns._notes import meant
from pinns._numbers import root_mean_square
from pinns._points import data_key
from pinns._scaled_network import ScaledFunctional
from pinns._sizes import output_sizes, rms
from pinns._warnings import warn_at_caller
from pinns.problems import Condition, Problem
from pinns.problems._base import conditions_of

_POINTS = 256


@dataclasses.dataclass(frozen=True)
class Scaled(Problem):
    r"""A problem whose network and residuals are scaled; made by :func:`scaled`.

    .. math::
      u(x) = s \odot v\Big(\frac{x - m}{h}\Big), \qquad \omega_c \leftarrow \omega_c / \rho_c^2

    with m and h the middle and half the widths of the domain, s the sizes of the outputs, and ρ those of the
    residuals. Along an axis that an embedding takes in the problem's unit, m = 0 and h = 1.

    Args:
      problem: The problem.
      outputs: Sizes s of the outputs.
      residuals: Sizes ρ of the residuals by condition.
      inputs: Whether coordinates are scaled.
    """

    problem: Problem
    outputs: tuple[float, ...]
    residuals: tuple[tuple[str, float], ...]
    inputs: bool = True

    @property
    def scales_inputs(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether coordinates are scaled."""
        return self.inputs

    @property
    def domain(self) -> Any:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The domain of the problem."""
        return self.problem.domain

    def restricted(self, domain: Any) -> Self:
        """The same sizes on a part of the domain, whose coordinates are then brought to size one."""
        return dataclasses.replace(self, problem=self.problem.restricted(domain))

    def conditions(self) -> Mapping[str, Condition]:
        """Those of the problem, with the sizes of their residuals."""
        sizes = dict(self.residuals)
        return {
            name: dataclasses.replace(condition, size=sizes[name])
            for name, condition in conditions_of(self.problem).items()
        }

    def unknowns(self) -> Mapping[str, Any]:
        """Those of the problem."""
        return self.problem.unknowns()

    def exact(self, x: jax.Array) -> jax.Array | None:
        """The solution of the problem."""
        return self.problem.exact(x)

    def predict(self, u: Any, x: jax.Array) -> jax.Array:
        """What is compared with :meth:`exact`."""
        return self.problem.predict(u, x)

    def functional(self, model: Any) -> tuple[ScaledFunctional, optax.Params]:
        """``model`` between the scalings, as a function of its parameters, and these."""
        function, params = self.problem.functional(model)
        middle, half = self._box()
        kept = np.array(units_of(getattr(model, "embedding", None)) or (False,) * len(half))
        kept |= not self.inputs
        arrays = (np.where(kept, 0, middle), np.where(kept, 1, half), self.outputs)
        dtype = params_dtype(params)
        return ScaledFunctional(function, *(jnp.asarray(array, dtype) for array in arrays)), params

    def _box(self) -> tuple[np.ndarray, np.ndarray]:
        """Middle and half widths of the domain."""
        lower, upper = np.asarray(self.domain.lower), np.asarray(self.domain.upper)
        return (lower + upper) / 2, (upper - lower) / 2

    def moves_coordinates(self) -> bool:
        """Whether a network sees other coordinates than those of the problem."""
        middle, half = self._box()
        return self.inputs and bool((middle != 0).any() or (half != 1).any())


def scaled(problem: Problem, model: Any, key: jax.Array, *, inputs: bool = True) -> Scaled:
    r"""Scales inputs, outputs and residuals of a problem, without a change of its equation.

    Inputs are mapped from the box around the domain to [−1, 1]ᵈ, but for axes along which the network has a
    :class:`PeriodicEmbedding` or a :class:`Normalize`, whose numbers are in the problem's units. The size of
    an output is that at which the terms that hold it are as large as those that do not (sources, data),
    measured with the untrained network v at drawn points:

    .. math::
      s_j = \max_c \frac{\|r_c(0)\|}{\|r_c(v e_j) - r_c(0)\|}

    over the conditions c in which output j is not negligible beside the others. An output to which no source
    or datum gives a size gets it in the same way from the outputs that have theirs and drive it; 1 where
    nothing does. The size of a residual is that of the untrained network with these sizes, or of its sources
    where they are larger: at a single point they may cancel. For equations that are not linear this is
    iterated. Where the solution oscillates, s is too large by the square of its wave number.

    Args:
      problem: The problem.
      model: An untrained network, see :func:`pinns.functional`; several networks cannot be scaled.
      key: A JAX random key for the points, see :func:`pinns.data_key`.
      inputs: Whether inputs are mapped. False for a network with conditions built in, such as a factor that
        vanishes on the boundary: they are written in the problem's coordinates.

    Returns:
      A :class:`Scaled` problem, for :func:`pinns.fit` with ``model``. The result, called, is then
      the solution in the problem's units, ``result.model`` the network between the scalings.

    Raises:
      TypeError: Several networks.

    Examples:
      >>> import jax
      >>> from flax import nnx
      >>> from pinns import MLP, Poisson1D, scaled
      >>> problem = scaled(Poisson1D("smooth"), MLP(1, [20, 20], 1, rngs=nnx.Rngs(0)), jax.random.key(0))
      >>> 1 < problem.outputs[0] < 1000
      True
    """
    if isinstance(model, Mapping):
        raise TypeError("several networks cannot be scaled together: scale each inside of the residuals.")
    conditions = problem.conditions()
    plain = Scaled(problem, (1.0,), tuple((name, 1.0) for name in conditions), inputs)
    if not getattr(model, "supports_jets", True) and plain.moves_coordinates():
        warn_at_caller(
            f"{type(model).__name__} maps its coordinates by code of its own, which sees them in [-1, 1] "
            "here: conditions that are built into it, a factor that vanishes on the boundary or a period, "
            "must be written there. Else give scaled(..., inputs=False)."
        )
    elif plain.moves_coordinates() and holds_units(model):
        warn_at_caller(
            f"{type(model).__name__} holds an embedding that takes coordinates in the problem's units, and "
            "gets them in [-1, 1] here: give scaled(..., inputs=False), or hold it as the network's "
            "attribute embedding, which gets what its takes_units asks for."
        )
    function, params = plain.functional(model)
    dtype = params_dtype(params)
    on_conditions, in_domain = jax.random.split(data_key(key))  # never the network's own random numbers
    numbers = dict.fromkeys(conditions, _POINTS)
    points = problem.sample(on_conditions, method="sobol", dtype=dtype, num_points=numbers)
    inside = problem.domain.sample(in_domain, _POINTS, "sobol", dtype)
    try:
        values = predict(function(params), inside)
    except Exception as error:  # whatever it is, it goes on its way with a note
        error.add_note(
            "scaled calls the network at points of the domain: one of other coordinates (predict) cannot "
            "be scaled so; divide by sizes of your own inside of the residuals."
        )
        raise
    probe = _sizes_of(values)
    num_outputs = probe.size

    @jax.jit
    def residuals(outputs: jax.Array) -> list[jax.Array]:
        between = ScaledFunctional(function.inner, function.middle, function.half, outputs / probe)
        return [_residuals(block, params, problem) for block in problem.loss(between, points).blocks]

    sizes, beyond, sources = output_sizes(residuals, num_outputs, probe.dtype)
    for j in beyond:
        warn_at_caller(
            f"output {j} balances the sources and data of its conditions at a size that {probe.dtype.name} "
            "cannot hold, and is not scaled by it. Measure it in a unit in which it is of order one"
            + (", or train a float64 network with jax_enable_x64." if probe.dtype != np.float64 else ".")
        )
    balanced = residuals(jnp.asarray(sizes, probe.dtype))
    blocks = problem.loss(function, points).blocks
    total = {
        # Of another loss than squares the size of the residual says nothing.
        name: max(rms(r), source) if block.loss is None else float(jnp.sqrt(block.total(r)))
        for name, block, r, source in zip(conditions, blocks, balanced, sources, strict=True)
    }
    usable = {name: _is_usable(size, dtype) for name, size in total.items()}
    for name, size in total.items():
        if usable[name] or size == 0 or np.isnan(size):  # fit tells where a residual is no number
            continue
        warn_at_caller(
            f"the residual of condition {name!r} has the size {size:.1e} with the untrained network, "
            f"whose square {jnp.dtype(dtype).name} cannot hold: it is not scaled. Measure coordinates or "
            "outputs in units in which the equation is of order one, or train a float64 network with "
            "jax_enable_x64."
        )
    residual_sizes = tuple((name, _told(size) if usable[name] else 1.0) for name, size in total.items())
    outputs = sizes / np.asarray(probe, dtype=float)
    return Scaled(problem, tuple(_told(size) for size in outputs), residual_sizes, inputs)


def _residuals(block: Residual, params: optax.Params, problem: Problem) -> jax.Array:
    try:
        return block.residuals(params)
    except Exception as error:  # whatever it is, it goes on its way with a note
        error.add_note(f"In the residual of condition {block.name!r}.{meant(error, problem)}")
        raise


def _told(size: float) -> float:
    """A size by four digits: the last ones are another processor's others, and a run is told by them."""
    return float(f"{float(size):.3e}")


def _is_usable(size: float, dtype: Any) -> bool:
    """Whether squares of numbers of this size, and what is divided by them, stay in the range of a type."""
    largest = float(jnp.finfo(dtype).max) ** 0.5
    return 1 / largest < size < largest


def _sizes_of(values: jax.Array) -> jax.Array:
    """Root mean squares of the columns, 1 for one that vanishes."""
    sizes = root_mean_square(values, axis=0)
    return jnp.where(sizes > 0, sizes, 1)

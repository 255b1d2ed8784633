"""What a problem is: a domain, conditions on the solution, and its loss."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from isgd_optax import FieldsAsLeaves, LeastSquares, Residual
from pinns.sampling import Box, Region

Points = dict[str, jax.Array]


@dataclasses.dataclass(frozen=True)
class Condition:
    """Something that the solution must satisfy at the points of a region.

    Args:
      residual: ``residual(u, x)``, zero where it holds; ``u`` is the network, ``x`` one point of
        shape (d,). A method of the problem, so that equal problems share compiled code.
      region: where.
      num_points: how many points the loss takes there.
      weight: ω in paper Eq. 6.

    Raises:
      ValueError: ``num_points`` < 1 or a negative weight.
      TypeError: a weight that is not one number.
    """

    residual: Callable[[Callable[..., Any], jax.Array], jax.Array]
    region: Region
    num_points: int
    weight: float = 1.0

    def __post_init__(self) -> None:
        if jnp.ndim(self.weight) != 0:
            raise TypeError(
                f"a condition's weight must be one number, got shape {jnp.shape(self.weight)}. For one that "
                "depends on the point or on the component, multiply the residual by the root of the weight "
                "instead, e.g. jnp.sqrt(w(x)) * r."
            )
        if self.num_points < 1 or not self.weight >= 0:
            raise ValueError(
                f"a condition needs num_points ≥ 1 and weight ≥ 0, got {self.num_points} and {self.weight}."
            )


class NetworkResidual(FieldsAsLeaves):
    """A condition's residual as a function of the network's parameters and one point."""

    _leaves = ("rest",)
    _static = ("graphdef", "function", "owner")

    def __init__(self, graphdef: Any, rest: Any, residual: Callable[..., jax.Array]):
        self.graphdef = graphdef
        self.rest = rest
        # Apart, because bound methods of equal objects are not equal.
        self.function = getattr(residual, "__func__", residual)
        self.owner = getattr(residual, "__self__", None)

    def __call__(self, params: Any, x: jax.Array) -> jax.Array:
        return self._at(self.network(params), x)

    def network(self, params: Any) -> Any:
        """The network with these parameters."""
        return nnx.merge(self.graphdef, params, self.rest)

    def _at(self, u: Any, x: jax.Array) -> jax.Array:
        return self.function(u, x) if self.owner is None else self.function(self.owner, u, x)


class Problem:
    """Base class of problems: give it ``domain`` and ``conditions``, and ``exact`` if it is known.

    A subclass is a frozen dataclass; its fields are the equation's parameters and the numbers of
    points. Second derivatives come from :func:`pinns.laplacian` or
    :func:`pinns.second_derivatives`.

    Examples:
      The heat equation u_t = u_xx on [0, 1] with u = 0 at both ends and u = sin πx at t = 0:

      >>> import dataclasses
      >>> import jax.numpy as jnp
      >>> from pinns import Box, Condition, Problem, second_derivatives
      >>> @dataclasses.dataclass(frozen=True)
      ... class Heat(Problem):
      ...     num_points: int = 1000
      ...     domain = Box((0.0, 0.0), (1.0, 0.5))  # x and t
      ...
      ...     def conditions(self):
      ...         ends = Faces(self.domain, ((0, "lower"), (0, "upper")))
      ...         return {
      ...             "pde": Condition(self.pde, self.domain, self.num_points),
      ...             "boundary": Condition(self.data, ends, 100),
      ...             "initial": Condition(self.data, self.domain.face(1, "lower"), 100, weight=10.0),
      ...         }
      ...
      ...     def pde(self, u, x):
      ...         _, first, second = second_derivatives(u, x)
      ...         return first[1] - second[0]
      ...
      ...     def data(self, u, x):
      ...         return u(x) - self.exact(x)
      ...
      ...     def exact(self, x):
      ...         return jnp.exp(-(jnp.pi**2) * x[1]) * jnp.sin(jnp.pi * x[0])
      >>> from pinns import Faces, MLP, fit
      >>> import jax, optax
      >>> from flax import nnx
      >>> model = MLP(2, [20, 20], 1, rngs=nnx.Rngs(0))
      >>> result = fit(Heat(100), model, optax.adam(1e-3), num_steps=3, key=jax.random.key(0), progress=False)
      >>> sorted(result.history[-1]["losses"])
      ['boundary', 'initial', 'pde']
    """

    domain: Box

    def conditions(self) -> Mapping[str, Condition]:
        """What the solution must satisfy, by name (``"pde"``, ``"boundary"``, ``"initial"``, ...)."""
        raise TypeError(f"{type(self).__name__} must define conditions().")

    def exact(self, x: jax.Array) -> jax.Array | None:
        """The solution at one point of shape (d,), or None if it is not known."""
        del x
        return None

    def sample(self, key: jax.Array, *, method: str = "uniform", dtype: Any = jnp.float32) -> Points:
        """The points of every condition.

        Args:
          key: a JAX random key.
          method: ``"uniform"`` (the paper's), ``"sobol"`` or ``"grid"``, see :func:`pinns.unit_points`.
          dtype: of the points.

        Returns:
          Arrays of shape (num_points, d) by condition.
        """
        conditions = self.conditions()
        keys = jax.random.split(key, len(conditions))
        return {
            name: condition.region.sample(k, condition.num_points, method, dtype)
            for k, (name, condition) in zip(keys, conditions.items(), strict=True)
        }

    def loss(self, model: nnx.Module, points: Points) -> LeastSquares:
        """The loss of ``model`` at ``points`` as a function of its parameters, paper Eq. 6.

        Args:
          model: a network; only its structure and what is not trained of it is used.
          points: from :meth:`sample`, or arrays of shape (N, d) by condition.

        Returns:
          A :class:`isgd_optax.LeastSquares` of the parameters, with a block for every condition.

        Raises:
          ValueError: ``points`` are not those of the conditions.

        Examples:
          >>> import jax
          >>> from flax import nnx
          >>> from pinns import MLP, SingularlyPerturbedODE
          >>> problem = SingularlyPerturbedODE(epsilon=2.0)
          >>> model = MLP(1, [10], 1, rngs=nnx.Rngs(0))
          >>> loss = problem.loss(model, problem.sample(jax.random.key(0)))
          >>> loss(nnx.state(model, nnx.Param)).shape
          ()
        """
        conditions = self.conditions()
        if set(points) != set(conditions):
            raise ValueError(f"points must be given for {sorted(conditions)}, got {sorted(points)}.")
        graphdef, _, rest = nnx.split(model, nnx.Param, ...)
        return LeastSquares(
            *(
                Residual(NetworkResidual(graphdef, rest, c.residual), points[name], c.weight, name)
                for name, c in conditions.items()
            )
        )

"""What a problem is: a domain, conditions on the solution, and its loss."""

import copy
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from isgd_optax import FieldsAsLeaves, LeastSquares, Residual
from pinns._functional import Functional, functional
from pinns._identity import ByContent, is_cached
from pinns._unknowns import Unknown
from pinns.problems._cached import keep_numbers
from pinns.problems._condition import Condition

Points = dict[str, jax.Array]


class NetworkResidual(FieldsAsLeaves):
    """A condition's residual as a function of the trained parameters and one point.

    Args:
      function: A network without its parameters.
      residual: ``residual(u, x)``.
    """

    _leaves = ("function",)
    _static = ("residual", "owner", "code")

    def __init__(self, function: Functional, residual: Callable[..., jax.Array]):
        self.function = function
        # Apart, because bound methods of equal objects are not equal.
        self.residual = getattr(residual, "__func__", residual)
        self.owner = ByContent(getattr(residual, "__self__", None))
        # IPython's autoreload puts other code into the same function: what is compiled must not be found.
        self.code = getattr(self.residual, "__code__", None)

    def __call__(self, params: optax.Params, x: jax.Array) -> jax.Array:
        u = self.function(params)
        owner = self.owner.value
        return self.residual(u, x) if owner is None else self.residual(owner, u, x)


class Problem:
    """Base class of problems: give it ``domain`` and ``conditions``, and ``exact`` if it is known.

    A subclass is a frozen dataclass; its fields are the equation's parameters and the numbers of points.
    What is computed from them once may be a ``functools.cached_property``.
    Second derivatives come from :func:`pinns.second_derivatives`.

    Examples:
      The heat equation u_t = u_xx on [0, 1] with u = 0 at both ends and u = sin πx at t = 0:

      >>> import dataclasses
      >>> import jax.numpy as jnp
      >>> from pinns import Box, Condition, Faces, Problem, second_derivatives
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
      ...         return jnp.exp(-(jnp.pi**2) * x[1]) * jnp.sin(jnp.pi * x[:1])
      >>> from pinns import MLP, fit
      >>> import jax, optax
      >>> from flax import nnx
      >>> model = MLP(2, [20, 20], 1, rngs=nnx.Rngs(0))
      >>> result = fit(Heat(100), model, optax.adam(1e-3), num_steps=3, key=jax.random.key(0), progress=False)
      >>> sorted(result.history[-1]["losses"])
      ['boundary', 'initial', 'pde']
    """

    domain: Any
    """The domain in which the solution lives, a :class:`pinns.Box` or any other :class:`pinns.Domain`."""
    scales_inputs: ClassVar[bool] = False
    """Whether the network gets coordinates of size one, whatever the domain."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        keep_numbers(cls)

    def conditions(self) -> Mapping[str, Condition]:
        """What the solution must satisfy, by name (``"pde"``, ``"boundary"``, ``"initial"``, ...).

        It is called many times, and must give the same every time: random numbers in it, such as noise of
        data, need a seed.
        """
        raise TypeError(f"{type(self).__name__} must define conditions().")

    def unknowns(self) -> Mapping[str, Unknown | ArrayLike]:
        """Coefficients to be found, by name: an :class:`Unknown`, or a number from which to start.

        They are trained beside the network; a residual finds them in ``u.unknowns``.
        """
        return {}

    def exact(self, x: jax.Array) -> jax.Array | None:
        """The solution at one point of shape (d,), or None if it is not known."""
        del x
        return None

    def predict(self, u: Callable[..., Any], x: jax.Array) -> jax.Array:
        """What is compared with :meth:`exact` and drawn: by default u(x)."""
        return u(x)

    def restricted(self, domain: Any) -> Self:
        """The same equation on a part of its domain; its regions must be built from ``self.domain``.

        Raises:
          TypeError: The class computes its domain.
        """
        if isinstance(getattr(type(self), "domain", None), property):
            raise TypeError(
                f"{type(self).__name__}.domain is a property: define restricted(domain) in the class, which "
                "returns the same problem on another domain, or make domain a field."
            )
        part = copy.copy(self)
        for name in [name for name in vars(part) if is_cached(part, name)]:
            del part.__dict__[name]  # it may be of the whole domain
        object.__setattr__(part, "domain", domain)
        return part

    def sample(
        self,
        key: jax.Array,
        *,
        method: Any = "uniform",
        dtype: Any = jnp.float32,
        num_points: Mapping[str, int] | None = None,
    ) -> Points:
        """The points of every condition.

        Args:
          key: A JAX random key.
          method: ``"uniform"`` (the paper's), ``"sobol"`` or ``"grid"``, see :func:`pinns.unit_points`.
          dtype: The dtype of the points.
          num_points: Numbers of points by condition, in the place of those that the conditions declare.

        Returns:
          Arrays of shape (num_points, d) by condition, or what the condition's region gives.
        """
        conditions = conditions_of(self)
        numbers = {name: c.num_points for name, c in conditions.items()} | dict(num_points or {})
        keys = jax.random.split(key, len(conditions))
        drawn: Points = {}
        for k, (name, condition) in zip(keys, conditions.items(), strict=True):
            try:
                points = condition.region.sample(k, numbers[name], method, dtype)
            except Exception as error:  # whatever it is, it goes on its way with a note
                error.add_note(f"This is of the points of condition {name!r}.")
                raise
            drawn[name] = jax.tree.map(jnp.asarray, points)
        return drawn

    def functional(self, model: Any) -> tuple[Functional, optax.Params]:
        """``model`` and this problem's unknowns, as a function of parameters, and these.

        Args:
          model: A network in any form that :func:`pinns.functional` takes.

        Returns:
          ``function``, with ``function(params)`` the ``u`` of the residuals, and ``params``.
        """
        with jax.ensure_compile_time_eval():  # their starts are numbers, also where a program is traced
            unknowns = self.unknowns()
        return functional(model, unknowns)

    def loss(
        self, model: Any, points: Points, weights: Mapping[str, ArrayLike] | None = None
    ) -> LeastSquares:
        """The loss of ``model`` at ``points`` as a function of its parameters, paper Eq. 6.

        Args:
          model: A network, see :func:`pinns.functional`, or a :class:`pinns.Functional`; only its structure
            and what is not trained of it is used.
          points: The points, from :meth:`sample`, or arrays of shape (N, d) by condition.
          weights: Weights by condition, in the place of those of the conditions.

        Returns:
          A :class:`isgd_optax.LeastSquares` of the parameters (see :meth:`functional`; for an NNX module
          without unknowns ``nnx.state(model, nnx.Param)``), with a block for every condition.

        Raises:
          ValueError: ``points`` are not those of the conditions, or a weight for no condition.

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
        conditions = conditions_of(self)
        if set(points) != set(conditions):
            raise ValueError(f"points must be given for {sorted(conditions)}, got {sorted(points)}.")
        declared = {name: c.weights(points[name]) for name, c in conditions.items()}
        weights = declared | dict(weights or {})
        if set(weights) != set(conditions):
            raise ValueError(f"weights may be given for {sorted(conditions)}, got {sorted(weights)}.")
        function = model if isinstance(model, Functional) else self.functional(model)[0]

        def block(name: str, c: Condition) -> Residual:
            residual = NetworkResidual(function, c.residual)
            try:
                return Residual(residual, points[name], weights[name], name, c.loss)
            except (TypeError, ValueError) as error:
                error.add_note(f"This is of the condition {name!r}.")
                raise

        return LeastSquares(*(block(name, c) for name, c in conditions.items()))


def conditions_of(problem: Problem) -> Mapping[str, Condition]:
    """The conditions of a problem, also where a program is traced: their regions and weights are numbers."""
    with jax.ensure_compile_time_eval():
        return problem.conditions()

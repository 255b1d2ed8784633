"""Small inverse problems for a network: an equation with unknown coefficients, and noisy values of it."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from isgd_optax import LeastSquares, Residual


@dataclasses.dataclass(frozen=True, kw_only=True)
class InverseProblem:
    """An equation that holds at points, and measurements of its solution at others.

    Attributes:
      name: Its name.
      unknowns: Name, true value and unit of each unknown; the network trains it in that unit.
      equation: ``equation(u, coefficients, x)``, the residual at a point x for the function u.
      solution: ``solution(constants, x)``, the solution for the unknowns and further constants; those of the
        measured one are ``constants``.
      constants: The unknowns' true values and then those of constants like initial values; the unknowns
        alone where the solutions have no formula with finitely many constants.
      parametric: Whether they have.
      points: Of the equation, shape (N, d).
      places: Of the measurements, shape (n, d).
      noise_std: Standard deviation of the noise.
      to_unit: Factors and shifts of the inputs of the network, ``x * factor + shift``.
      width: Of its two hidden layers.
    """

    name: str
    unknowns: tuple[tuple[str, float, float], ...]
    equation: Callable[[Any, jax.Array, jax.Array], jax.Array]
    solution: Callable[[jax.Array, jax.Array], jax.Array]
    constants: tuple[float, ...]
    parametric: bool
    points: np.ndarray
    places: np.ndarray
    noise_std: float
    to_unit: tuple[float, float]
    width: int

    @property
    def num_residuals(self) -> int:
        """Of both blocks."""
        return len(self.points) + len(self.places)

    @property
    def num_parameters(self) -> int:
        """Of the network and the unknowns."""
        shapes = jax.eval_shape(self.init, jax.random.key(0))
        return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(shapes))

    def init(self, key: jax.Array) -> dict[str, Any]:
        """A random network, and unknowns of 0.7 times their true values."""
        dim, width = self.points.shape[1], self.width
        sizes = ((dim, width), (width, width), (width, 1))
        network = [
            {"kernel": jax.random.normal(k, size) * np.sqrt(2 / sum(size)), "bias": jnp.zeros(size[1])}
            for k, size in zip(jax.random.split(key, 3), sizes, strict=True)
        ]
        return {
            "network": network,
            "unknowns": jnp.asarray([0.7 * true / unit for _, true, unit in self.unknowns]),
        }

    def values(self) -> jax.Array:
        """The solution at the places of the measurements, shape (n,)."""
        return jax.vmap(lambda x: self.solution(jnp.asarray(self.constants), x))(self.places)

    def loss(self, measured: jax.Array, weight: jax.Array) -> LeastSquares:
        """The blocks "equation", of the given weight, and "data", of weight 1."""
        units = np.array([unit for _, _, unit in self.unknowns])

        def equation(params: Any, x: jax.Array) -> jax.Array:
            return self.equation(lambda x: self._u(params, x), units * params["unknowns"], x)

        def data(params: Any, point: dict[str, jax.Array]) -> jax.Array:
            return self._u(params, point["x"]) - point["value"]

        return LeastSquares(
            Residual(equation, jnp.asarray(self.points), weight=weight, name="equation"),
            Residual(data, {"x": jnp.asarray(self.places), "value": measured}, name="data"),
        )

    def bound(self) -> np.ndarray | None:
        """The Cramér–Rao bound of the unknowns' standard errors where all solutions have a formula."""
        if not self.parametric:
            return None
        constants = jnp.asarray(self.constants)
        jacobian = np.asarray(
            jax.vmap(lambda x: jax.jacobian(self.solution)(constants, x))(jnp.asarray(self.places))
        )
        covariance = np.linalg.inv(jacobian.T @ jacobian)
        return self.noise_std * np.sqrt(np.diagonal(covariance))[: len(self.unknowns)]

    def _u(self, params: Any, x: jax.Array) -> jax.Array:
        factor, shift = self.to_unit
        *hidden, last = params["network"]
        x = factor * x + shift
        for layer in hidden:
            x = jnp.tanh(x @ layer["kernel"] + layer["bias"])
        return (x @ last["kernel"] + last["bias"])[0]


def decay() -> InverseProblem:
    """Exponential decay y' = −k y on [0, 2], k = 1.5, y(0) unknown; 40 values with noise of 1 %."""
    return InverseProblem(
        name="decay",
        unknowns=(("k", 1.5, 1.0),),
        equation=lambda u, c, x: jax.grad(u)(x)[0] + c[0] * u(x),
        solution=lambda c, x: c[1] * jnp.exp(-c[0] * x[0]),
        constants=(1.5, 1.0),
        parametric=True,
        points=np.linspace(0.0, 2.0, 100)[:, None],
        places=np.linspace(0.0, 2.0, 40)[:, None],
        noise_std=0.01,
        to_unit=(1.0, -1.0),
        width=16,
    )


def oscillator() -> InverseProblem:
    """Damped y'' + μy' + ky = 0 on [0, 1], (μ, k) = (4, 400), free initial values; 60 values, noise 0.04."""

    def equation(u: Any, c: jax.Array, x: jax.Array) -> jax.Array:
        first = lambda x: jax.grad(u)(x)[0]
        return (jax.grad(first)(x)[0] + c[0] * first(x) + c[1] * u(x)) / 400

    def solution(c: jax.Array, x: jax.Array) -> jax.Array:
        omega = jnp.sqrt(c[1] - c[0] ** 2 / 4)
        return jnp.exp(-c[0] * x[0] / 2) * (c[2] * jnp.cos(omega * x[0]) + c[3] * jnp.sin(omega * x[0]))

    return InverseProblem(
        name="oscillator",
        unknowns=(("μ", 4.0, 1.0), ("k", 400.0, 100.0)),
        equation=equation,
        solution=solution,
        constants=(4.0, 400.0, 1.0, 2 / 396**0.5),
        parametric=True,
        points=np.linspace(0.0, 1.0, 100)[:, None],
        places=np.linspace(0.0, 1.0, 60)[:, None],
        noise_std=0.04,
        to_unit=(6.0, -3.0),
        width=20,
    )


def kdv() -> InverseProblem:
    """KdV, u_t + A u u_x + B u_xxx + C g = 0 on [0, 1]², (A, B, C) = (1, 0.0025, 1); 100 values, noise 1 %.

    Neither initial nor boundary values are given, so that the solutions have no finite list of constants.
    """

    def equation(u: Any, c: jax.Array, x: jax.Array) -> jax.Array:
        along = lambda f, axis: lambda z: jax.jvp(f, (z,), (jnp.eye(2)[axis],))[1]
        u_x = along(u, 0)
        sin_x, cos_x, sin_t, cos_t = jnp.sin(x[0]), jnp.cos(x[0]), jnp.sin(x[1]), jnp.cos(x[1])
        source = -sin_x * cos_x * sin_t**2 + 0.0025 * cos_x * sin_t - sin_x * cos_t
        return along(u, 1)(x) + c[0] * u(x) * u_x(x) + c[1] * along(along(u_x, 0), 0)(x) + c[2] * source

    grid = lambda n: np.stack(np.meshgrid(*[np.linspace(0.0, 1.0, n)] * 2), axis=-1).reshape(-1, 2)
    return InverseProblem(
        name="kdv",
        unknowns=(("A", 1.0, 1.0), ("B", 0.0025, 1.0), ("C", 1.0, 1.0)),
        equation=equation,
        solution=lambda c, x: jnp.sin(x[0]) * jnp.sin(x[1]),
        constants=(1.0, 0.0025, 1.0),
        parametric=False,
        points=grid(20),
        places=grid(10),
        noise_std=0.01 * float(np.sin(1.0) ** 2),
        to_unit=(2.0, -1.0),
        width=20,
    )


CASES: dict[str, Callable[[], InverseProblem]] = {"decay": decay, "oscillator": oscillator, "kdv": kdv}

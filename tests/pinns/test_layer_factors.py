"""The layer-wise kernel of networks against rows of the Jacobian."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from isgd_optax._gauss_newton._jacobian import ResidualJacobian
from pinns import (
    MLP,
    Box,
    Condition,
    FourierMLP,
    Helmholtz2D,
    ModifiedMLP,
    PeriodicHelmholtz2D,
    PeriodicMLP,
    Poisson1D,
    Poisson2D,
    Problem,
    SingularlyPerturbedODE,
    gradient,
    laplacian,
    second_derivatives,
)

pytestmark = pytest.mark.usefixtures("x64")
OPTIONS = {"dtype": jnp.float64, "rngs": nnx.Rngs(0)}
WIDE = [80, 80]  # wide enough for products of factors to be cheaper than the layer's rows


@dataclasses.dataclass(frozen=True)
class System(Problem):
    """Two unknowns, two residuals per point, first and second derivatives, and a layer used repeatedly."""

    domain = Box((0.0, 0.0), (1.0, 1.0))

    def conditions(self):
        return {
            "pde": Condition(self.pde, self.domain, 7),
            "jump": Condition(self.jump, self.domain.face(0, "lower"), 4, weight=2.0),
        }

    def pde(self, u, x):
        value, first, second = second_derivatives(u, x)
        return jnp.stack([second[0, 0] - second[1, 1] + value[1] ** 2, first[0, 1] * value[0] - 1])

    def jump(self, u, x):
        _, first = gradient(u, x)
        return u(x) - u(x + jnp.array([1.0, 0.0])) + 0.1 * first[0]


@dataclasses.dataclass(frozen=True)
class Mixed(System):
    """A derivative that needs autodiff through the network."""

    def conditions(self):
        return {"pde": Condition(self.mixed, self.domain, 7)}

    def mixed(self, u, x):
        return jax.hessian(lambda z: u(z)[0])(x)[0, 1] - 1


@dataclasses.dataclass(frozen=True)
class Decayed(System):
    """A residual that reads a parameter directly."""

    def conditions(self):
        return {
            "pde": Condition(self.pde, self.domain, 7),
            "decay": Condition(self.decay, self.domain, 1),
        }

    def decay(self, u, x):
        return jnp.sum(u.layers[0].kernel[...])


class Scaled(nnx.Module):
    """An MLP with a trained factor outside its dense layers."""

    supports_jets = True

    def __init__(self):
        self.mlp = MLP(2, WIDE, 2, **OPTIONS)
        self.factor = nnx.Param(jnp.asarray(1.5))

    def __call__(self, x):
        return self.mlp(x) * self.factor[...]


class Tied(nnx.Module):
    """Two layers with one kernel."""

    supports_jets = True

    def __init__(self):
        self.mlp = MLP(2, [80, 80, 80], 2, **OPTIONS)
        self.mlp.layers[2].kernel = self.mlp.layers[1].kernel

    def __call__(self, x):
        return self.mlp(x)


def evaluate(problem, model, kernel, method, row_block=3):
    """``gram`` or ``rows`` in one compilation: op by op they are hundreds."""

    @jax.jit
    def evaluated():
        return getattr(linearize(problem, model, kernel, row_block), method)()

    return evaluated()


def linearize(problem, model, kernel, row_block=3):
    points = problem.sample(jax.random.key(1), dtype=jnp.float64)
    loss, params = problem.loss(model, points), nnx.state(model, nnx.Param)
    return ResidualJacobian(loss, params, kernel=kernel, row_block=row_block)


CASES = {
    "1-D, wide": (Poisson1D(num_points=9), lambda: MLP(1, WIDE, 1, **OPTIONS)),
    "1-D, narrow": (SingularlyPerturbedODE(0.5, num_points=9), lambda: MLP(1, [5, 4], 1, **OPTIONS)),
    "2-D": (Poisson2D(9, 5), lambda: MLP(2, WIDE, 1, **OPTIONS)),
    "sine": (
        Helmholtz2D(1.0, num_points=9, num_boundary_points=5),
        lambda: MLP(2, WIDE, 1, activation=jnp.sin, **OPTIONS),
    ),
    "Fourier": (
        Poisson1D(num_points=9),
        lambda: FourierMLP(1, WIDE, 1, num_features=40, scale=2.0, **OPTIONS),
    ),
    "modified": (Poisson2D(9, 5), lambda: ModifiedMLP(2, WIDE, 1, **OPTIONS)),
    "periodic": (PeriodicHelmholtz2D(num_points=9), lambda: PeriodicMLP((2.0, 2.0), WIDE, 1, **OPTIONS)),
    "system": (System(), lambda: MLP(2, WIDE, 2, **OPTIONS)),
}


@pytest.mark.long
@pytest.mark.parametrize("case", CASES)
def test_layer_wise_kernel_is_that_of_the_rows(case):
    problem, make = CASES[case]
    model = make()
    by_layers = evaluate(problem, model, "layers", "gram")
    jacobian = evaluate(problem, model, "rows", "rows")
    loss = problem.loss(model, problem.sample(jax.random.key(1), dtype=jnp.float64))
    dense = jax.jit(jax.jacobian(loss.residuals))(nnx.state(model, nnx.Param))
    leaves = [leaf.reshape(leaf.shape[0], -1) for leaf in jax.tree.leaves(dense)]
    np.testing.assert_allclose(jacobian, jnp.concatenate(leaves, axis=1), rtol=1e-9, atol=1e-11)
    scale = float(jnp.max(jnp.abs(by_layers)))
    np.testing.assert_allclose(by_layers, jacobian @ jacobian.T, rtol=1e-10, atol=1e-13 * scale)
    np.testing.assert_array_equal(by_layers, by_layers.T)


def test_many_points_are_cut_into_tiles():
    model = MLP(1, WIDE, 1, **OPTIONS)
    problem = Poisson1D(num_points=301)
    by_layers = evaluate(problem, model, "layers", "gram")
    by_rows = evaluate(problem, model, "rows", "gram", 64)
    np.testing.assert_allclose(by_layers, by_rows, rtol=1e-9, atol=1e-13 * float(jnp.max(by_rows)))


@pytest.mark.long
@pytest.mark.parametrize(
    ("problem", "make", "by_rows"),
    [
        (Mixed(), lambda: MLP(2, WIDE, 2, **OPTIONS), ""),
        (System(), Tied, ""),
        (Decayed(), lambda: MLP(2, WIDE, 2, **OPTIONS), "kernel"),
        (System(), Scaled, "factor"),
    ],
    ids=["autodiff", "tied", "parameter read directly", "other parameters"],
)
def test_only_what_is_not_layer_wise_is_given_rows(problem, make, by_rows):
    model = make()
    jacobian = evaluate(problem, model, "auto", "rows")
    scale = float(jnp.max(jnp.abs(jacobian @ jacobian.T)))
    np.testing.assert_allclose(
        evaluate(problem, model, "auto", "gram"), jacobian @ jacobian.T, rtol=1e-9, atol=1e-13 * scale
    )
    if by_rows:
        with pytest.raises(ValueError, match=rf"enter otherwise: params\S*{by_rows}"):
            linearize(problem, model, "layers")
    else:
        linearize(problem, model, "layers")


def test_periodic_network_is_periodic_with_its_derivatives():
    model = PeriodicMLP((2.0, 3.0), [16], 1, **OPTIONS)
    x = jnp.array([0.3, -0.4])
    for shift in ([2.0, 0.0], [0.0, 3.0]):
        for here, there in zip(laplacian(model, x), laplacian(model, x + jnp.array(shift)), strict=True):
            np.testing.assert_allclose(here, there, rtol=1e-10)
    assert abs(model(x) - model(x + 1.0))[0] > 1e-3


@pytest.mark.parametrize("periods", [(), (2.0, 0.0), (-1.0,)])
def test_bad_periods_are_refused(periods):
    with pytest.raises(ValueError, match="periods"):
        PeriodicMLP(periods, [4], 1, **OPTIONS)

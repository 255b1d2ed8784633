"""Networks, derivatives and tabulated solutions keep full precision where JAX's default does not."""

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

import pinns

NETWORKS = {
    "mlp": lambda rngs: pinns.MLP(2, [4, 4], 1, rngs=rngs),
    "siren": lambda rngs: pinns.SIREN(2, [4, 4], 1, rngs=rngs),
    "modified": lambda rngs: pinns.ModifiedMLP(2, [4, 4], 1, rngs=rngs),
    "fourier": lambda rngs: pinns.FourierMLP(2, [4, 4], 1, num_features=3, scale=1.0, rngs=rngs),
    "periodic": lambda rngs: pinns.PeriodicMLP([2.0, 2.0], [4, 4], 1, rngs=rngs),
}
OPERATORS = {
    "laplacian": pinns.laplacian,
    "hessian": pinns.hessian,
    "biharmonic": pinns.biharmonic,
    "gradient": pinns.gradient,
    "mixed": lambda u, x: pinns.mixed_derivative(u, x, (0, 1)),
}


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("operator", OPERATORS)
def test_derivatives_of_networks_are_in_full_precision(network, operator, assert_full_precision):
    graph, params = nnx.split(NETWORKS[network](nnx.Rngs(0)))
    total = lambda tree: sum(jnp.sum(leaf) for leaf in jax.tree.leaves(tree))
    value = lambda p, x: total(OPERATORS[operator](nnx.merge(graph, p), x))
    assert_full_precision(jax.grad(value), params, jnp.ones(2))


@pytest.mark.parametrize("name", ["AllenCahn", "KdV", "LidDrivenCavity", "LorenzInverse", "Robertson"])
def test_tabulated_solutions_are_in_full_precision(name, assert_full_precision):
    problem = getattr(pinns, name)()
    assert_full_precision(jax.vmap(problem.exact), pinns.evaluation_points(problem, jnp.float32)[:3])

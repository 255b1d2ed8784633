"""Networks, derivatives and tabulated solutions keep full precision where JAX's default does not."""

import warnings

import jax
import jax.numpy as jnp
import optax
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


@pytest.fixture
def on_accelerator(monkeypatch):
    """Where JAX's default for float32 products is coarse; nothing is chosen."""
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    jax.config.update("jax_default_matmul_precision", None)
    yield
    jax.config.update("jax_default_matmul_precision", "highest")


class Plain(nnx.Module):
    """A network of plain layers, which take JAX's default."""

    def __init__(self, dtype=jnp.float32, precision=None):
        self.first = nnx.Linear(1, 4, rngs=nnx.Rngs(0), param_dtype=dtype, precision=precision)
        self.last = nnx.Linear(4, 1, rngs=nnx.Rngs(1), param_dtype=dtype, precision=precision)

    def __call__(self, x):
        return self.last(jnp.tanh(self.first(x)))


def said_of(train, model):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        train(optax.sgd(0.0), 1, model=model, fresh_loss=False)
    return [str(w.message) for w in said if "TF32" in str(w.message)]


def test_products_in_a_coarse_default_are_said(train, on_accelerator):
    (message,) = said_of(train, Plain())
    assert "jax_default_matmul_precision" in message


@pytest.mark.long
def test_products_are_not_coarse_where_full_precision_is_chosen(train, on_accelerator, make_model):
    assert not said_of(train, make_model())
    assert not said_of(train, Plain(precision="highest"))
    with jax.default_matmul_precision("tensorfloat32"):
        assert not said_of(train, Plain())


def test_products_in_float64_are_not_coarse(train, on_accelerator, x64):
    assert not said_of(train, Plain(jnp.float64))

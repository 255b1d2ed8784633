import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pinns import (
    MLP,
    SIREN,
    Chain,
    FourierFeatures,
    FourierMLP,
    Linear,
    ModifiedMLP,
    Normalize,
    PeriodicEmbedding,
    num_parameters,
    second_derivatives,
)

KINDS = ["mlp", "fourier", "modified"]


def make(kind, dtype=jnp.float32, seed=0):
    options = {"rngs": nnx.Rngs(seed), "dtype": dtype}
    if kind == "mlp":
        return MLP(2, [9, 9, 9], 3, **options)
    if kind == "fourier":
        return FourierMLP(2, [9, 9], 3, num_features=4, scale=2.0, **options)
    return ModifiedMLP(2, [9, 9, 9], 3, **options)


@pytest.mark.parametrize("kind", KINDS)
def test_shapes_and_dtype(kind, dtype):
    model = make(kind, dtype)
    for batch in ((), (5,), (4, 3), (0,)):
        y = jax.eval_shape(model, jax.ShapeDtypeStruct((*batch, 2), dtype))
        assert y.shape == (*batch, 3)
        assert y.dtype == dtype
    assert {leaf.dtype for leaf in jax.tree.leaves(nnx.state(model))} == {np.dtype(dtype)}


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_is_every_point_on_its_own(kind, x64):
    model = make(kind, jnp.float64)
    points = jax.random.normal(jax.random.key(0), (6, 2), jnp.float64)
    by_point = jnp.stack([model(x) for x in points])
    np.testing.assert_allclose(model(points), by_point, rtol=1e-13)
    np.testing.assert_allclose(jax.vmap(model)(points), by_point, rtol=1e-13)


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_makes_the_parameters(kind, assert_equal):
    first, again, other = (nnx.state(make(kind, seed=seed), nnx.Param) for seed in (7, 7, 8))
    assert_equal(first, again)
    kernels = [leaf for leaf in jax.tree.leaves(first) if leaf.ndim == 2]
    others = [leaf for leaf in jax.tree.leaves(other) if leaf.ndim == 2]
    assert not any(jnp.any(a == b) for a, b in zip(kernels, others, strict=True))


def test_kernels_are_glorot_normal_and_biases_zero():
    layer = Linear(300, 200, dtype=jnp.float32, rngs=nnx.Rngs(0))
    kernel = np.asarray(layer.kernel[...])
    expected = np.sqrt(2 / (300 + 200))
    assert kernel.shape == (300, 200)
    assert abs(kernel.mean()) < 0.02 * expected
    assert kernel.std() == pytest.approx(expected, rel=0.02)
    # truncated at two standard deviations of the untruncated normal; a uniform law would end at √3
    assert 2.0 * expected < np.abs(kernel).max() < 2.3 * expected
    np.testing.assert_array_equal(layer.bias[...], np.zeros(200))


def test_all_layers_start_with_the_variance_of_their_own_widths():
    model = MLP(100, [400, 50], 100, rngs=nnx.Rngs(1))
    for layer, (m, n) in zip(model.layers, [(100, 400), (400, 50), (50, 100)], strict=True):
        assert layer.kernel[...].shape == (m, n)
        assert float(layer.kernel[...].std()) == pytest.approx(np.sqrt(2 / (m + n)), rel=0.05)


@pytest.mark.parametrize(
    ("hidden", "expected"),
    [([], 2 * 1 + 1), ([5], 2 * 5 + 5 + 5 + 1), ([5, 3], 15 + 18 + 4), ([50] * 4, 150 + 3 * 2550 + 51)],
)
def test_depth_and_width_make_the_number_of_parameters(hidden, expected):
    model = MLP(2, hidden, 1, rngs=nnx.Rngs(0))
    assert num_parameters(model) == expected
    assert len(model.layers) == len(hidden) + 1


@pytest.mark.parametrize("kind", KINDS)
def test_parameters_are_a_pure_pytree_that_makes_the_network(kind):
    model = make(kind)
    graphdef, params, rest = nnx.split(model, nnx.Param, ...)
    leaves = jax.tree.leaves(params)
    assert all(isinstance(leaf, jax.Array) for leaf in leaves)
    assert sum(leaf.size for leaf in leaves) == num_parameters(model)
    x = jnp.array([0.3, -0.4])
    apply = jax.jit(lambda params, x: nnx.merge(graphdef, params, rest)(x))
    np.testing.assert_allclose(apply(params, x), model(x), rtol=1e-5)
    zero = jax.tree.map(jnp.zeros_like, params)
    np.testing.assert_array_equal(apply(zero, x), np.zeros(3))


def test_mlp_is_its_formula():
    model = MLP(2, [4, 3], 1, activation=jnp.sin, rngs=nnx.Rngs(0))
    x = jnp.array([0.3, -0.4])
    for i, layer in enumerate(model.layers):
        layer.bias[...] = jnp.full_like(layer.bias[...], 0.1 * (i + 1))
    (w1, b1), (w2, b2), (w3, b3) = (
        (np.asarray(layer.kernel[...]), np.asarray(layer.bias[...])) for layer in model.layers
    )
    expected = np.sin(np.sin(np.asarray(x) @ w1 + b1) @ w2 + b2) @ w3 + b3
    np.testing.assert_allclose(model(x), expected, rtol=1e-5)


def test_modified_mlp_is_its_formula(x64):
    model = ModifiedMLP(2, [6, 6, 6], 1, dtype=jnp.float64, rngs=nnx.Rngs(3))
    for i, layer in enumerate([*model.encoders, *model.layers]):
        layer.bias[...] = jnp.full_like(layer.bias[...], 0.1 * (i + 1))
    affine = lambda layer, h: h @ np.asarray(layer.kernel[...]) + np.asarray(layer.bias[...])
    x = np.array([0.7, -1.1])
    u, v = (np.tanh(affine(encoder, x)) for encoder in model.encoders)
    h = x
    for layer in model.layers[:-1]:
        z = np.tanh(affine(layer, h))
        h = (1 - z) * u + z * v
    np.testing.assert_allclose(model(jnp.asarray(x)), affine(model.layers[-1], h), rtol=1e-12)


def test_fourier_features_are_their_formula(x64):
    features = FourierFeatures(2, 5, scale=3.0, dtype=jnp.float64, rngs=nnx.Rngs(0))
    x = np.array([0.2, -0.6])
    z = x @ np.asarray(features.frequencies[...])
    np.testing.assert_allclose(features(jnp.asarray(x)), np.concatenate([np.cos(z), np.sin(z)]), rtol=1e-12)


def test_fourier_frequencies_are_gaussian_of_the_given_scale():
    features = FourierFeatures(2, 5000, scale=3.0, rngs=nnx.Rngs(0))
    b = np.asarray(features.frequencies[...]) / (2 * np.pi)
    assert b.std() == pytest.approx(3.0, rel=0.03)
    assert abs(b.mean()) < 0.1
    assert np.mean(np.abs(b) < 3.0) == pytest.approx(0.683, abs=0.02)


def test_fourier_frequencies_are_not_trained():
    model = make("fourier")
    params = nnx.state(model, nnx.Param)
    paths = [jax.tree_util.keystr(path) for path, _ in jax.tree.leaves_with_path(params)]
    assert not any("frequencies" in path for path in paths)
    assert num_parameters(model) == (8 * 9 + 9) + (9 * 9 + 9) + (9 * 3 + 3)


@pytest.mark.parametrize("kind", KINDS)
def test_float64_without_64_bit_mode_is_refused(kind):
    with pytest.raises(ValueError, match="jax_enable_x64"):
        make(kind, jnp.float64)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda r: MLP(0, [4], 1, rngs=r), "at least one input"),
        (lambda r: MLP(1, [4, 0], 1, rngs=r), "at least one input and one output"),
        (lambda r: MLP(1, [4], 0, rngs=r), "at least one input and one output"),
        (lambda r: ModifiedMLP(1, [], 1, rngs=r), "hidden layers of one width"),
        (lambda r: ModifiedMLP(1, [4, 5], 1, rngs=r), "hidden layers of one width"),
        (lambda r: FourierFeatures(1, 0, scale=1.0, rngs=r), "must be positive"),
        (lambda r: FourierFeatures(1, 4, scale=0.0, rngs=r), "must be positive"),
        (lambda r: FourierFeatures(1, 4, scale=float("nan"), rngs=r), "must be positive"),
        (lambda r: FourierMLP(1, [4], 1, num_features=4, scale=-1.0, rngs=r), "must be positive"),
    ],
)
def test_bad_sizes_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build(nnx.Rngs(0))


def test_a_network_may_be_periodic_in_some_coordinates_alone():
    embedding = PeriodicEmbedding((2.0, None), num_harmonics=3)
    model = MLP(2, [8, 8], 1, embedding=embedding, rngs=nnx.Rngs(0))
    assert embedding.out_features == 7
    t = jnp.array([0.3])
    at = lambda x: model(jnp.concatenate([jnp.array([x]), t]))
    np.testing.assert_allclose(at(-1.0), at(1.0), atol=1e-5)
    assert abs(at(0.0) - at(1.0))[0] > 1e-3
    assert abs(model(jnp.array([0.0, 0.0])) - model(jnp.array([0.0, 2.0])))[0] > 1e-3
    slope = jax.jvp(lambda x: model(jnp.stack([x, t[0]])), (jnp.asarray(-1.0),), (jnp.asarray(1.0),))[1]
    other = jax.jvp(lambda x: model(jnp.stack([x, t[0]])), (jnp.asarray(1.0),), (jnp.asarray(1.0),))[1]
    np.testing.assert_allclose(slope, other, atol=1e-4)


def test_features_of_a_periodic_embedding_are_the_formula():
    x = np.array([0.3, -0.7])
    z = 2 * np.pi * x[0] / 3.0
    expected = [np.cos(z), np.cos(2 * z), np.sin(z), np.sin(2 * z), x[1]]
    got = PeriodicEmbedding((3.0, None), num_harmonics=2)(jnp.asarray(x, jnp.float32))
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_a_chain_of_embeddings_scales_first():
    chain = Chain(Normalize((0.0,), (6000.0,)), PeriodicEmbedding((2.0,)))
    model = MLP(1, [8], 1, embedding=chain, rngs=nnx.Rngs(0))
    np.testing.assert_allclose(model(jnp.array([0.0])), model(jnp.array([6000.0])), atol=1e-5)
    assert num_parameters(model) == 2 * 8 + 8 + 8 + 1
    _, first, second = second_derivatives(model, jnp.array([1500.0]))
    _, first_of_one, second_of_one = second_derivatives(
        MLP(1, [8], 1, embedding=PeriodicEmbedding((2.0,)), rngs=nnx.Rngs(0)), jnp.array([-0.5])
    )
    np.testing.assert_allclose(first * 3000, first_of_one, rtol=1e-3)
    np.testing.assert_allclose(second * 3000**2, second_of_one, rtol=1e-3)


def test_inputs_of_the_sines_of_a_siren_keep_their_size():
    model = SIREN(1, [256] * 4, 1, omega0=5.0, rngs=nnx.Rngs(0))
    x = jnp.linspace(-1, 1, 500)[:, None]
    for layer in model.layers[1:-1]:
        x = jnp.sin(model.layers[0](x)) if layer is model.layers[1] else x
        z = layer(x)
        assert 0.7 < float(jnp.std(z)) < 1.3  # the paper's N(0, 1)
        x = jnp.sin(z)
    assert float(jnp.max(jnp.abs(model.layers[0].kernel[...]))) <= 5.0
    assert float(jnp.max(jnp.abs(model.layers[-1].kernel[...]))) <= (6 / 256) ** 0.5 / 5


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PeriodicEmbedding((None, None)), "at least one of them given"),
        (lambda: PeriodicEmbedding((2.0,), num_harmonics=0), "num_harmonics at least 1"),
        (lambda: Normalize((0.0,), (0.0,)), "lower < upper"),
        (lambda: Chain(Normalize((0.0,), (1.0,)), PeriodicEmbedding((1.0, 1.0))), "as many features"),
        (lambda: MLP(1, [3], 1, embedding=PeriodicEmbedding((1.0, None)), rngs=nnx.Rngs(0)), "takes 2 coord"),
        (lambda: SIREN(1, [3], 1, omega0=0.0, rngs=nnx.Rngs(0)), "omega0 must be positive"),
    ],
)
def test_unfit_embeddings_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()

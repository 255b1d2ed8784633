import json
import struct

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from jax.flatten_util import ravel_pytree

import pinns
from benchmarks.paper import _digits, table2
from benchmarks.paper.table2 import Table2, cross_entropy
from isgd_optax import gauss_newton, implicit_step

pytestmark = pytest.mark.usefixtures("x64_restored")


def network(dtype=jnp.float64):
    return pinns.MLP(6, [5], 4, dtype=dtype, rngs=nnx.Rngs(0))


@pytest.mark.slow
def test_cross_entropy_has_its_gradient_and_the_generalised_gauss_newton_matrix(x64):
    model = network()
    images = jax.random.normal(jax.random.key(0), (7, 6), jnp.float64)
    labels = jnp.arange(7) % 4
    loss = cross_entropy(model, images, labels)
    graphdef, params = nnx.split(model)
    flat, unravel = ravel_pytree(params)
    logits = lambda p: nnx.merge(graphdef, unravel(p))(images)
    plain = lambda p: optax.softmax_cross_entropy_with_integer_labels(logits(p), labels).mean()
    np.testing.assert_allclose(loss(params), plain(flat), rtol=1e-12)
    gradient = ravel_pytree(jax.grad(loss)(params))[0]
    np.testing.assert_allclose(gradient, jax.grad(plain)(flat), atol=1e-12)

    jacobian = jax.jacrev(logits)(flat)
    p = jax.nn.softmax(logits(flat))
    hessians = jnp.einsum("ni,ij->nij", p, jnp.eye(4)) - jnp.einsum("ni,nj->nij", p, p)
    expected = jnp.einsum("nip,nij,njq->pq", jacobian, hessians, jacobian) / 7
    # Without acceleration a step solves (½JᵀHJ + λI) d = −½∇L, λ = 1/(2α), with that matrix.
    solver = implicit_step(gauss_newton(max_corrections=0), 3.0, max_inner_steps=1)
    updates, _ = solver.update(jax.grad(loss)(params), solver.init(params), params, value_fn=loss)
    step = np.linalg.solve(expected / 2 + np.eye(flat.size) / 6, -gradient / 2)
    np.testing.assert_allclose(ravel_pytree(updates)[0], step, rtol=1e-8, atol=1e-12)


@pytest.mark.long
def test_gauss_newton_solves_the_implicit_equation_of_a_cross_entropy(x64):
    model = network()
    images = jax.random.normal(jax.random.key(0), (7, 6), jnp.float64)
    loss = cross_entropy(model, images, jnp.arange(7) % 4)
    params = nnx.state(model, nnx.Param)
    solver = implicit_step(gauss_newton(linear_solver="dual"), 0.5, max_inner_steps=30, rtol=1e-8)
    updates, state = jax.jit(lambda p: solver.update(jax.grad(loss)(p), solver.init(p), p, value_fn=loss))(
        params
    )
    new = optax.apply_updates(params, updates)
    np.testing.assert_allclose(
        ravel_pytree(updates)[0], -0.5 * ravel_pytree(jax.grad(loss)(new))[0], atol=1e-7
    )
    assert state.info.accepted


@pytest.mark.long
def test_cross_entropy_stays_finite_where_a_probability_underflows():
    model = network(jnp.float32)
    graphdef, params = nnx.split(model)
    params = jax.tree.map(lambda leaf: 1e4 * leaf, params)
    loss = cross_entropy(nnx.merge(graphdef, params), jnp.ones((1, 6)), jnp.array([0]))
    solver = implicit_step(gauss_newton(linear_solver="dual"), 1.0, max_inner_steps=1)
    updates, state = solver.update(jax.grad(loss)(params), solver.init(params), params, value_fn=loss)
    for leaf in jax.tree.leaves((loss(params), updates)):
        assert jnp.isfinite(leaf).all()
    assert state.info.accepted


def idx(array):
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def test_mnist_is_read_from_idx_files(tmp_path):
    images = np.arange(2 * 28 * 28, dtype=np.uint8).reshape(2, 28, 28)
    for name, array in zip(
        _digits._FILES.values(),
        (images, np.array([3, 9], np.uint8), images[:1], np.array([7], np.uint8)),
        strict=True,
    ):
        (tmp_path / name).write_bytes(idx(array))
    digits = _digits.mnist(tmp_path)
    assert digits.train_images.shape == (2, 784)
    assert digits.train_images.dtype == np.float32
    np.testing.assert_allclose(digits.train_images[0, 255], 1.0)
    assert digits.train_labels.tolist() == [3, 9]
    assert digits.test_labels.tolist() == [7]
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(b"\x1f\x8b compressed")
    with pytest.raises(ValueError, match="not an IDX file"):
        _digits.mnist(tmp_path)


def test_mnist_without_a_network_says_what_to_do(monkeypatch):
    def unreachable(*args, **options):
        raise OSError("no route to host")

    monkeypatch.setattr("sklearn.datasets.fetch_openml", unreachable)
    with pytest.raises(ConnectionError, match="--dataset digits"):
        _digits.mnist(None)


@pytest.mark.slow  # twelve trainings
def test_table_2_has_its_shape_on_small_digits_and_goes_on_where_it_stopped(tmp_path, monkeypatch):
    study = Table2(batches=(32,), only=("SGD", "lbfgs"), out=tmp_path)
    result = study.run()
    rows = {row["optimizer"]: row for row in result["rows"]}
    sgd, isgd = rows["SGD"]["accuracy"], rows["ISGD, L-BFGS"]["accuracy"]
    np.testing.assert_allclose(sgd[:2], isgd[:2], atol=0.02)  # one and the same for small α
    assert sgd[-1] < 0.3
    assert isgd[-1] > 0.93
    assert "not MNIST" in result["dataset"]
    judged = {claim.paper.split(" (")[0]: claim.verdict for claim in study.claims(result)}
    assert judged.pop("b = 32, SGD: collapses at α = 10") == "holds"
    assert judged.pop("b = 32, ISGD, L-BFGS: accurate at α = 10") == "holds"
    assert judged.pop("b = 32: ISGD, L-BFGS is as accurate as SGD at α = 0.001 and 0.01") == "holds"
    assert len(judged) == 13
    assert set(judged.values()) == {"not measured"}  # Adam, and every other batch size
    assert [line[1] for line in study.data(result).rows[2:]] == [
        f"ISGD, L-BFGS: {title}" for title in ("inner steps", "residual", "accepted")
    ]
    monkeypatch.setattr(table2, "_train", lambda *args: pytest.fail("trained again"))
    assert json.loads(json.dumps(study.run()["rows"])) == json.loads(json.dumps(result["rows"]))


def test_a_batch_size_that_the_paper_has_not_is_drawn_alone(tmp_path):
    row = {"optimizer": "SGD", "batch": 64, "accuracy": [0.5] * 6}
    Table2.draw({"dataset": "MNIST", "rows": [row]}, tmp_path)
    assert (tmp_path / "table2.png").read_bytes().startswith(b"\x89PNG")

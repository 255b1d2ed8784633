"""Points that follow the residual, numbers of points, and weights that follow the training."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from isgd_optax import gauss_newton, implicit_step, isgd_adam, largest_trusted
from pinns import (
    MLP,
    AdaptiveSampling,
    AdaptiveWeights,
    FunctionApproximation,
    Poisson2D,
    Sampling,
    SingularlyPerturbedODE,
    fit,
)
from pinns._points import PointSource
from pinns._weights import WeightRule

KEY = jax.random.key(0)


def source(problem, sampling, model):
    params = nnx.state(model, nnx.Param)
    loss = lambda points, weights=None: problem.loss(model, points, weights)
    return PointSource(problem, sampling, loss, params, KEY, jnp.float32), params


def where_residual_is(make_model, **options):
    """The points of a problem whose residual is large on the right half alone, drawn by the residual."""

    class Half(FunctionApproximation):
        def data(self, u, x):
            return jnp.where(x > 0, 100.0, 1.0) + 0 * u(x)

    model = make_model()
    points, params = source(Half(num_points=400), AdaptiveSampling(every=5, pool=20, **options), model)
    first = points.draw(KEY)
    step = jax.jit(points.at)
    assert jnp.array_equal(step(jnp.asarray(4), params, first)["data"], first["data"])
    return step(jnp.asarray(5), params, first)["data"]


def test_points_go_where_the_residual_is_large(make_model):
    # p ∝ r + mean(r)·c: with c = 0 a hundredth lies on the left, with c = 1 a quarter of the points.
    share = lambda **options: float(jnp.mean(where_residual_is(make_model, **options) < 0))
    assert share(floor=0.0) < 0.03
    assert 0.2 < share(floor=1.0) < 0.32
    assert 0.45 < share(exponent=0.0) < 0.55
    assert share(exponent=2.0, floor=0.0) < 0.01


def test_drawn_points_are_different_points(make_model):
    points = where_residual_is(make_model)
    assert len(jnp.unique(points)) == 400


@pytest.mark.long
def test_other_conditions_are_drawn_plainly(make_model):
    model = make_model(dim=2)
    plan = AdaptiveSampling(method="uniform", every=1, conditions=("pde",))
    points, params = source(Poisson2D(50, 20), plan, model)
    first = points.draw(KEY)
    drawn = points.at(jnp.asarray(1), params, first)
    for name in ("pde", "boundary"):
        assert drawn[name].shape == first[name].shape
        assert not jnp.array_equal(drawn[name], first[name])


def test_a_residual_that_is_no_number_draws_evenly(make_model):
    class Broken(FunctionApproximation):
        def data(self, u, x):
            return u(x) * jnp.nan

    points, params = source(Broken(num_points=40), AdaptiveSampling(every=1), make_model())
    drawn = points.at(jnp.asarray(1), params, points.draw(KEY))["data"]
    assert jnp.all(jnp.isfinite(drawn))
    assert len(jnp.unique(drawn)) == 40


ADAPTIVE = {
    "adam": (lambda: optax.adam(1e-2), 24),
    "isgd_adam": (lambda: isgd_adam(0.5, num_implicit_steps=3, num_inner_steps=4), 12),
    "lbfgs": (lambda: optax.lbfgs(), 12),
    "gauss_newton": (
        lambda: implicit_step(gauss_newton(), largest_trusted(), max_inner_steps=1, store_grad=True),
        12,
    ),
}


@pytest.mark.long
@pytest.mark.parametrize(
    "name",
    [
        "adam",
        *(pytest.param(n, marks=pytest.mark.slow) for n in ("gauss_newton", "isgd_adam", "lbfgs")),
    ],
)
def test_adaptive_runs_resume_bit_for_bit(name, train, assert_equal, tmp_path):
    make, num_steps = ADAPTIVE[name]
    options = {
        "sampling": AdaptiveSampling(every=3, pool=4, batch_size={"pde": 12}),
        "weights": AdaptiveWeights(every=2),
        "evaluate_every": 4,
        "checkpoint_seconds": 0.0,
        "checkpoint_dir": tmp_path,
    }
    train(make(), num_steps // 2, **options)
    resumed = train(make(), num_steps, **options)
    through = train(make(), num_steps, **(options | {"checkpoint_dir": None}))
    assert resumed.num_steps == num_steps
    assert_equal(resumed.params, through.params)
    assert resumed.final["weights"] == through.final["weights"]


@pytest.mark.long
def test_numbers_of_points_suit_the_network(ode, train, make_model):
    result = train(optax.adam(1e-2), 2, sampling=Sampling(num_points="auto"))
    [pde] = [block for block in result.loss.blocks if block.name == "pde"]
    assert pde.num_points == 24 * 8  # 26 residuals; 2 · 97 parameters need 8 times as many
    result = train(optax.adam(1e-2), 2, sampling=Sampling(num_points={"pde": 7}))
    [pde] = [block for block in result.loss.blocks if block.name == "pde"]
    assert pde.num_points == 7


def test_weights_grow_where_gradients_are_small(train):
    problem = SingularlyPerturbedODE(epsilon=2.0, num_points=24, boundary_weight=1e-3)
    balanced = train(
        optax.adam(1e-3), 60, problem=problem, weights=AdaptiveWeights(every=2, rate=0.5), evaluate_every=20
    )
    # The gradient of the equation is the larger one: the weight of the boundary rises above the declared.
    weights = balanced.final["weights"]
    assert weights["boundary"] / weights["pde"] > 1.5e-3
    assert max(weights.values()) == pytest.approx(1.0)
    assert "weights" not in train(optax.adam(1e-3), 2).final


def test_weights_of_losses_make_them_equal(train):
    weights = AdaptiveWeights(balance="losses", every=1, rate=1.0)
    result = train(optax.sgd(0.0), 3, weights=weights)
    last = result.final
    ratio = {name: last["weights"][name] ** 2 * last["losses"][name] for name in last["losses"]}
    assert max(ratio.values()) / min(ratio.values()) < 1.01


@pytest.mark.slow
def test_adaptive_points_make_a_layer_visible(make_model):
    """With few points a thin layer is missed by even points and found by the residual."""
    problem = SingularlyPerturbedODE(epsilon=0.02, num_points=60)
    optimizer = implicit_step(gauss_newton(), largest_trusted(), max_inner_steps=1)
    run = lambda sampling: fit(
        problem,
        MLP(1, [8, 8], 1, rngs=nnx.Rngs(0)),
        optimizer,
        num_steps=60,
        key=KEY,
        sampling=sampling,
        progress=False,
    ).final["rel_l2"]
    assert np.isfinite(run(AdaptiveSampling(every=5)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AdaptiveSampling(every=0), "every must be at least 1"),
        (lambda: AdaptiveSampling(pool=0), "pool must be at least 1"),
        (lambda: AdaptiveSampling(floor=-1.0), "must be at least 0"),
        (lambda: AdaptiveSampling(every=5, resample_every=4), "give every alone"),
        (lambda: Sampling(num_points="many"), "num_points must be 'auto'"),
        (lambda: AdaptiveWeights(balance="losse"), "balance must be"),
        (lambda: AdaptiveWeights(rate=0.0), "0 < rate"),
    ],
)
def test_unfit_options_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("sampling", "message"),
    [
        (AdaptiveSampling(conditions=("pd",)), "AdaptiveSampling names 'pd'"),
        (Sampling(num_points={"pd": 3}), "num_points names 'pd'"),
    ],
)
def test_names_of_conditions_are_checked(train, sampling, message):
    with pytest.raises(ValueError, match=message):
        train(optax.adam(1e-3), 2, sampling=sampling)


def test_options_are_changed_by_dataclasses_replace():
    changed = dataclasses.replace(AdaptiveSampling(every=10, pool=4), every=3)
    assert (changed.every, changed.interval, changed.pool) == (3, 3, 4)
    assert dataclasses.replace(Sampling(resample_every=5), resample_every=None).interval is None


def test_steps_of_evaluation_must_be_steps(train):
    rows = train(optax.sgd(0.0), 6, evaluate_every=range(0, 7, 3)).history
    assert [row["step"] for row in rows] == [0, 3, 6]
    for given in (2.0, [3.5], np.geomspace(1, 6, 3)):
        with pytest.raises(TypeError, match="evaluate_every must be a whole number"):
            train(optax.sgd(0.0), 6, evaluate_every=given)
    with pytest.raises(ValueError, match="at least 0, got -3"):
        train(optax.sgd(0.0), 6, evaluate_every=[-3, 4])
    assert [row["step"] for row in train(optax.sgd(0.0), 6, evaluate_every={2, 60}).history] == [0, 2, 6]
    with pytest.raises(TypeError, match="num_steps must be a whole number"):
        train(optax.sgd(0.0), 1e2)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_weights_that_adapt_keep_the_type_of_the_network(dtype, x64):
    problem, model = Poisson2D(6, 4), MLP(2, [3], 1, dtype=dtype, rngs=nnx.Rngs(0))
    loss = lambda points, weights=None: problem.loss(model, points, weights)
    rule = WeightRule(problem, AdaptiveWeights(every=1), loss)
    params = nnx.state(model, nnx.Param)
    points = jax.eval_shape(lambda: problem.sample(KEY, dtype=dtype))
    changed = jax.eval_shape(rule.at, jnp.asarray(1), params, points, rule.first(dtype))
    assert {leaf.dtype for leaf in changed.values()} == {jnp.dtype(dtype)}

"""What a second call finds: a result, a folder, or other devices."""

import dataclasses
import signal
import threading

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from pinns import (
    MLP,
    AdaptiveSampling,
    Box,
    Condition,
    FitWarning,
    Problem,
    Sampling,
    Stop,
    Unknown,
    fit,
    fit_in_slabs,
)
from pinns._interrupt import Interrupt
from pinns._scaling import Scaled
from pinns._start import starting

ADAM = optax.adam(1e-3)


@dataclasses.dataclass(frozen=True)
class Decay(Problem):
    """u' = -k u on a line, with k unknown."""

    k: Unknown = dataclasses.field(default_factory=lambda: Unknown(1.0))
    root: bool = False
    domain = Box((0.0,), (1.0,))

    def unknowns(self):
        return {"k": self.k}

    def conditions(self):
        start = self.domain.face(0, "lower")
        return {"pde": Condition(self.pde, self.domain, 5), "start": Condition(self.start, start, 1)}

    def pde(self, u, x):
        values = u(x) * u.unknowns["k"]
        return jnp.sqrt(values - 100) if self.root else values

    def start(self, u, x):
        return u(x) - 1


def small(dtype=jnp.float32):
    return MLP(1, [3], 1, rngs=nnx.Rngs(0), dtype=dtype)


def short(problem, model, **options):
    return fit(
        problem, model, ADAM, **{"num_steps": 2, "key": jax.random.key(0), "progress": False} | options
    )


@pytest.mark.long
def test_an_unknown_goes_on_from_its_value_also_where_its_logarithm_is_trained():
    plain, positive = Decay(Unknown(3.0)), Decay(Unknown(1.0, positive=True))
    found = short(plain, small(), num_steps=1)
    value = found.final["unknowns"]["k"]
    first = lambda result: result.history[0]["unknowns"]["k"]
    logarithm = short(positive, found, num_steps=1)
    np.testing.assert_allclose(first(logarithm), value, rtol=1e-6)
    back = short(plain, logarithm, num_steps=1)
    np.testing.assert_allclose(first(back), logarithm.final["unknowns"]["k"], rtol=1e-6)
    np.testing.assert_allclose(first(short(plain, found, num_steps=1)), value, rtol=1e-6)
    below = dataclasses.replace(found, params=found.params | {"unknowns": {"k": jnp.float32(-1.0)}})
    with pytest.raises(ValueError, match="above zero"):
        short(positive, below)


def test_a_folder_without_a_state_is_anybodys(tmp_path):
    with pytest.warns(UserWarning, match="not finite"):
        failed = short(Decay(root=True), small(), checkpoint_dir=tmp_path)
    assert failed.stop_reason == "not_finite_at_start"
    assert short(Decay(), small(), checkpoint_dir=tmp_path).num_steps == 2
    with pytest.raises(ValueError, match="another run"):
        short(Decay(root=True), small(), checkpoint_dir=tmp_path)


def test_a_run_that_its_callback_ended_stays_ended(tmp_path):
    options = {"num_steps": 8, "evaluate_every": 2, "checkpoint_dir": tmp_path}
    enough = lambda history: history[-1]["step"] >= 4
    once = short(Decay(), small(), on_evaluation=enough, **options)
    asked = []
    again = short(Decay(), small(), on_evaluation=lambda h: asked.append(len(h)) or enough(h), **options)
    assert asked == [3]  # at its end alone
    assert (once.num_steps, once.stop_reason) == (again.num_steps, again.stop_reason) == (4, "on_evaluation")
    assert short(Decay(), small(), **options).num_steps == 8  # without it, it goes on


def test_what_a_callback_raises_loses_nothing(tmp_path):
    def fails(history):
        raise ZeroDivisionError

    options = {"evaluate_every": 1, "num_steps": 3, "checkpoint_dir": tmp_path}
    with pytest.raises(ZeroDivisionError):
        short(Decay(), small(), on_evaluation=fails, **options)
    assert (tmp_path / "1").exists()
    asked = []
    short(Decay(), small(), on_evaluation=lambda history: asked.append(history[-1]["step"]), **options)
    assert asked == [2, 3]  # not of what was there


def test_bfloat16_has_checkpoints(tmp_path):
    once = short(Decay(), small(jnp.bfloat16), checkpoint_dir=tmp_path)
    assert short(Decay(), small(jnp.bfloat16), checkpoint_dir=tmp_path).history == once.history


def test_states_of_another_setting_of_x64_are_told_by_it(tmp_path, x64):
    count = optax.GradientTransformation(
        lambda params: jnp.zeros(()) + 0.1, lambda updates, state, params=None: (updates, state + 0.1)
    )
    options = {"num_steps": 1, "key": jax.random.key(0), "progress": False, "checkpoint_dir": tmp_path}
    fit(Decay(), small(), count, **options)
    jax.config.update("jax_enable_x64", False)
    with pytest.raises(ValueError, match="jax_enable_x64=True; it is False now"):
        fit(Decay(), small(), count, **options)


def test_a_network_from_between_other_scalings_is_said():
    problem = Scaled(Decay(), (7.0,), (("pde", 1.0), ("start", 1.0)))
    result = dataclasses.replace(short(Decay(), small(), num_steps=1), problem=problem)
    for other in (Decay(), dataclasses.replace(problem, outputs=(6.0,))):
        with pytest.warns(FitWarning, match=r"another function in this problem, by (0\.[0-9]|1) of"):
            starting(other, result)
    starting(Scaled(Decay(Unknown(2.0, positive=True)), (7.0,), (("pde", 2.0), ("start", 1.0))), result)


@pytest.mark.long
@pytest.mark.devices(4)
def test_a_result_goes_on_on_other_devices(tmp_path):
    meshes = [jax.make_mesh((n,), ("points",), devices=jax.devices()[:n]) for n in (4, 2)]
    result = short(Decay(), small(), num_steps=1)
    restored = jax.device_put(result.params, jax.devices()[1])  # as from a checkpoint, on a device of its own
    result = dataclasses.replace(result, params=restored)
    for mesh in meshes:
        result = short(Decay(), result, num_steps=1, mesh=mesh)
    for _ in range(2):  # the second time from its checkpoint
        alone = short(Decay(), result, num_steps=1, checkpoint_dir=tmp_path)
    assert all(len(leaf.sharding.device_set) == 1 for leaf in jax.tree.leaves(alone.params))


def in_slabs(folder, optimizer=ADAM, **options):
    options = {"num_steps": 1, "key": jax.random.key(0), "slabs": 2, "progress": False} | options
    return fit_in_slabs(Decay(), small(), optimizer, checkpoint_dir=folder, **options)


@pytest.mark.long
def test_slabs_that_others_began_from_stay_as_they_are(tmp_path):
    before = in_slabs(tmp_path, num_steps=np.int64(1), time_limit=50.0)
    again = in_slabs(tmp_path, time_limit=200.0)
    with pytest.warns(UserWarning, match="slab 0 was made of 1 steps and stays so"):
        longer = in_slabs(tmp_path, num_steps=2)
    assert longer.results[1].num_steps == 2
    for found in (again, longer):
        assert found.results[0].history == before.results[0].history
    assert again.results[1].history == before.results[1].history


def test_slabs_keep_the_reason_why_they_ended(tmp_path):
    options = {"num_steps": 9, "evaluate_every": 1, "stop": Stop(patience=1), "optimizer": optax.sgd(1e-9)}
    reasons = [[r.stop_reason for r in in_slabs(tmp_path, **options).results] for _ in range(2)]
    assert reasons == [["stagnation"] * 2] * 2


def test_an_interruption_between_two_slabs_keeps_those_that_are_done(monkeypatch):
    monkeypatch.setattr("pinns._slabs.warn_unmeasured", lambda *_: signal.raise_signal(signal.SIGINT))
    before = signal.getsignal(signal.SIGINT)
    found = in_slabs(None, slabs=3, num_steps=4, evaluate_every=2)
    assert signal.getsignal(signal.SIGINT) == before
    assert [r.stop_reason for r in found.results] == ["num_steps", "interrupted"]
    assert found.results[1].num_steps == 2
    assert repr(found).splitlines()[0].startswith("0 to 0.333333: FitResult(num_steps after 4 steps: loss ")


def test_batches_of_slabs_are_checked_where_their_points_are_known(tmp_path):
    with pytest.raises(ValueError, match=r"batch_size.*pd"):
        in_slabs(tmp_path, batch_size={"pd": 2})
    with pytest.raises(ValueError, match="AdaptiveSampling names 'pd'"):
        in_slabs(tmp_path, sampling=AdaptiveSampling(conditions=("pd",)))
    found = in_slabs(tmp_path, sampling=Sampling(num_points="auto", batch_size={"pde": 12}), slabs=1)
    assert found.results[0].num_steps == 1


def test_an_interruption_is_not_that_of_other_threads():
    requested = []

    def train():
        with Interrupt() as interrupt:
            requested.append(interrupt.requested)

    with Interrupt() as outer:
        outer.requested = True
        train()  # in this thread it is
        thread = threading.Thread(target=train)
        thread.start()
        thread.join()
    assert requested == [True, False]

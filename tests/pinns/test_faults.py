"""Faults from outside: damaged checkpoints, a full disk, two runs in one folder, numbers that are none."""

import dataclasses
import gc
import resource
import shutil

import jax
import jax.numpy as jnp
import optax
import pytest

from isgd_optax import gauss_newton, implicit_step, isgd_adam
from pinns import FitWarning, SingularlyPerturbedODE

OPTIONS = {"evaluate_every": 4, "checkpoint_seconds": 0}


def _steps(folder):
    return sorted(int(path.name) for path in folder.iterdir() if path.name.isdigit())


def _files(folder, step):
    """The files of a checkpoint that hold data, largest first."""
    files = [path for path in (folder / str(step)).rglob("*") if path.is_file() and path.stat().st_size]
    return sorted(files, key=lambda path: -path.stat().st_size)


def _cut(folder, step):
    for file in _files(folder, step):
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def _overwrite(folder, step):
    for file in _files(folder, step):
        file.write_bytes(b"\x00" * file.stat().st_size)


def _lose_state(folder, step):
    shutil.rmtree(folder / str(step) / "state")


def _lose_history(folder, step):
    shutil.rmtree(folder / str(step) / "history")


def _arrays(folder, step):
    """The files that hold the numbers, beside those that say where each is."""
    return [path for path in _files(folder, step) if path.match("state/ocdbt.process_0/d/*")]


def _empty_arrays(folder, step):
    assert _arrays(folder, step)
    for file in _arrays(folder, step):
        file.write_bytes(b"")


def _flip_bits(folder, step):
    for file in _arrays(folder, step):
        content = bytearray(file.read_bytes())
        for i in range(0, len(content), 3):  # wherever in the file the numbers are
            content[i] ^= 1
        file.write_bytes(content)


# What orbax has begun when it finds the fault is collected with its event loop closed.
@pytest.mark.long
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    "damage",
    [
        _cut,
        _flip_bits,
        *(
            pytest.param(f, marks=pytest.mark.slow)
            for f in (_overwrite, _lose_state, _lose_history, _empty_arrays)
        ),
    ],
)
def test_of_a_damaged_checkpoint_the_one_before_is_taken(train, make_model, assert_equal, tmp_path, damage):
    def run(num_steps, **options):
        # Wide enough that its weights have files of their own: small arrays stand beside what describes them.
        return train(optax.adam(1e-2), num_steps, model=make_model((64, 64)), **options)

    run(12, checkpoint_dir=tmp_path, **OPTIONS)
    assert _steps(tmp_path) == [8, 12]
    damage(tmp_path, 12)
    with pytest.warns(FitWarning, match=r"(?s)checkpoint of step 12 cannot be read.*from that of step 8"):
        resumed = run(20, checkpoint_dir=tmp_path, **OPTIONS)
    assert_equal(resumed.params, run(20, evaluate_every=4).params)
    assert [row["step"] for row in resumed.history] == list(range(0, 21, 4))
    assert (tmp_path / "unreadable-12").is_dir()  # the fault may have been another one
    # Nothing of the damage is left: it goes on in silence.
    assert run(24, checkpoint_dir=tmp_path, **OPTIONS).num_steps == 24
    gc.collect()  # here, where it is expected


def test_a_run_without_a_readable_checkpoint_does_not_start_anew_in_silence(train, tmp_path):
    train(optax.adam(1e-2), 12, checkpoint_dir=tmp_path, **OPTIONS)
    for step in _steps(tmp_path):
        _cut(tmp_path, step)
    with pytest.raises(ValueError, match=r"no checkpoint in .* can be read"):
        train(optax.adam(1e-2), 20, checkpoint_dir=tmp_path, **OPTIONS)
    assert _steps(tmp_path) == [8, 12]


def test_arrays_that_are_not_those_that_were_written_are_damage(train, tmp_path):
    """Files that can be read, of another state: what one flipped bit gives, if it is in a number."""
    train(optax.adam(1e-2), 12, checkpoint_dir=tmp_path, **OPTIONS)
    shutil.rmtree(tmp_path / "12" / "state")
    shutil.copytree(tmp_path / "8" / "state", tmp_path / "12" / "state")
    with pytest.warns(FitWarning, match=r"step 12 cannot be read \(its arrays are not those"):
        train(optax.adam(1e-2), 20, checkpoint_dir=tmp_path, **OPTIONS)


def test_a_damaged_identity_is_said(train, tmp_path):
    train(optax.adam(1e-2), 4, checkpoint_dir=tmp_path, **OPTIONS)
    (tmp_path / "identity.json").write_text("")
    with pytest.raises(ValueError, match=r"identity.json is damaged .*delete the file"):
        train(optax.adam(1e-2), 8, checkpoint_dir=tmp_path, **OPTIONS)
    (tmp_path / "identity.json").unlink()
    assert train(optax.adam(1e-2), 8, checkpoint_dir=tmp_path, **OPTIONS).num_steps == 8


def test_what_a_killed_run_left_half_written_is_removed(train, tmp_path):
    train(optax.adam(1e-2), 8, checkpoint_dir=tmp_path, **OPTIONS)
    unfinished = tmp_path / "12.orbax-checkpoint-tmp"
    shutil.copytree(tmp_path / "8", unfinished)
    assert train(optax.adam(1e-2), 16, checkpoint_dir=tmp_path, **OPTIONS).num_steps == 16
    assert not unfinished.exists()


def test_a_full_disk_ends_no_training(train, assert_equal, tmp_path):
    """No file may grow beyond a few bytes between the steps 8 and 16."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(history):
        allowed = 64 if 8 <= history[-1]["step"] < 16 else limits[0]
        resource.setrlimit(resource.RLIMIT_FSIZE, (allowed, limits[1]))

    try:
        with pytest.warns(
            FitWarning, match=r"(?s)step (8|12) could not be written.*last one is of step 4"
        ) as said:
            result = train(optax.adam(1e-2), 20, checkpoint_dir=tmp_path, on_evaluation=fill, **OPTIONS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert sum("could not be written" in str(warning.message) for warning in said) == 2
    assert_equal(result.params, train(optax.adam(1e-2), 20, evaluate_every=4).params)
    assert _steps(tmp_path) == [16, 20]
    assert not list(tmp_path.glob("*tmp*"))


def test_a_full_disk_at_the_end_still_returns_the_result(train, tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    fill = lambda history: resource.setrlimit(resource.RLIMIT_FSIZE, (64, limits[1]))
    try:
        with pytest.warns(FitWarning, match="there is none before it"):
            result = train(optax.adam(1e-2), 4, checkpoint_dir=tmp_path, on_evaluation=fill, **OPTIONS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert result.stop_reason == "num_steps"


def test_two_runs_in_one_folder_are_refused(train, tmp_path):
    second = []

    def start_another(history):
        with pytest.raises(RuntimeError, match="another run is at work") as error:
            train(optax.adam(1e-2), 12, checkpoint_dir=tmp_path, **OPTIONS)
        second.append(error)

    first = train(optax.adam(1e-2), 8, checkpoint_dir=tmp_path, on_evaluation=start_another, **OPTIONS)
    assert len(second) == 2
    assert first.num_steps == 8
    assert train(optax.adam(1e-2), 12, checkpoint_dir=tmp_path, **OPTIONS).num_steps == 12


def test_a_refused_run_leaves_the_folder_to_others(train, tmp_path):
    train(optax.adam(1e-2), 4, checkpoint_dir=tmp_path, **OPTIONS)
    with pytest.raises(ValueError, match="key is"):
        train(optax.adam(1e-2), 4, seed=1, checkpoint_dir=tmp_path, **OPTIONS)
    assert train(optax.adam(1e-2), 8, checkpoint_dir=tmp_path, **OPTIONS).num_steps == 8


def _nan_at(step):
    """An optimiser's last link whose update is NaN once."""

    def update(updates, count, params=None):
        fault = jnp.where(count == step, jnp.nan, 0.0)
        return jax.tree.map(lambda u: u + fault.astype(u.dtype), updates), count + 1

    return optax.GradientTransformation(lambda params: jnp.zeros((), jnp.int32), update)


def test_nan_in_an_update_ends_with_the_parameters_before_it(train, assert_equal, tmp_path):
    optimizer = optax.chain(optax.adam(1e-2), _nan_at(9))
    result = train(optimizer, 20, checkpoint_dir=tmp_path, evaluate_every=4, checkpoint_seconds=1e6)
    assert (result.stop_reason, result.num_steps) == ("diverged", 8)
    assert_equal(result.params, train(optax.chain(optax.adam(1e-2), _nan_at(9)), 8).params)
    assert _steps(tmp_path) == [8]  # though no checkpoint was due


class _SometimesNan:
    """A region with a point that is no number in the draws in which a coin falls so."""

    def __init__(self, region):
        self._region = region

    def sample(self, key, num_points, method, dtype):
        points = self._region.sample(key, num_points, method, dtype)
        fault = jax.random.bernoulli(jax.random.fold_in(key, 7), 0.5)
        return points.at[0, 0].set(jnp.where(fault, jnp.nan, points[0, 0]))


class _FaultyOde(SingularlyPerturbedODE):
    def conditions(self):
        conditions = dict(super().conditions())
        pde = conditions["pde"]
        conditions["pde"] = dataclasses.replace(pde, region=_SometimesNan(pde.region))
        return conditions


INNER = {
    "adam": lambda: isgd_adam(0.5, num_implicit_steps=12, num_inner_steps=5),
    "gauss_newton": lambda: implicit_step(gauss_newton(), learning_rate=1.0, max_inner_steps=1),
    "a solver that fails": lambda: implicit_step(
        optax.chain(optax.sgd(1e-3), _nan_at(0)), learning_rate=1.0, max_inner_steps=3
    ),
}


@pytest.mark.long
@pytest.mark.parametrize("inner", sorted(INNER))
def test_points_that_are_no_numbers_end_a_training_with_good_parameters(train, inner):
    """Half of the draws hold one; the first does not."""
    problem = _FaultyOde(epsilon=2.0, num_points=24)
    result = train(
        INNER[inner](), 20, problem=problem, resample_every=1, evaluate_every=1, seed=1, fresh_loss=False
    )
    assert result.stop_reason == "diverged"
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(result.params))

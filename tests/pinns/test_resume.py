import os
import signal
import threading
import warnings

import jax
import numpy as np
import optax
import pytest
from flax import nnx

from isgd_optax import isgd_adam
from pinns import MLP, FitWarning

OPTIMIZERS = {
    "adam": lambda: optax.adam(1e-2),
    "lbfgs": lambda: optax.lbfgs(),
    "isgd_adam": lambda: isgd_adam(0.5, num_implicit_steps=8, num_inner_steps=5, reset_inner=False),
    "noisy": lambda: optax.chain(optax.add_noise(0.1, 0.5, key=0), optax.sgd(1e-4)),
}
DATA = {"batches": {"batch_size": 5}, "fresh points": {"resample_every": 3}, "fixed": {}}


class Stopped(Exception):
    """Stands for a run that dies."""


def stop_after(rows):
    def callback(history):
        if len(history) >= rows:
            raise Stopped

    return callback


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("adam", "batches"),
        ("adam", "fresh points"),
        pytest.param("isgd_adam", "batches", marks=pytest.mark.slow),
        pytest.param("lbfgs", "fixed", marks=pytest.mark.slow),
        ("noisy", "fixed"),
    ],
)
def test_a_run_that_died_continues_bit_for_bit(train, tmp_path, name, data):
    options = {"evaluate_every": 4, **DATA[data]}
    whole = train(OPTIMIZERS[name](), 20, **options)
    options |= {"checkpoint_dir": tmp_path, "checkpoint_seconds": 0}
    with pytest.raises(Stopped):
        train(OPTIMIZERS[name](), 20, **options, on_evaluation=stop_after(4))
    resumed = train(OPTIMIZERS[name](), 20, **options)
    assert same(whole.params, resumed.params)
    without_time = lambda rows: [{k: v for k, v in row.items() if k != "seconds"} for row in rows]
    assert str(without_time(whole.history)) == str(without_time(resumed.history))


@pytest.mark.long
def test_a_finished_run_returns_at_once_and_can_be_lengthened(train, tmp_path):
    options = {"evaluate_every": 5, "checkpoint_dir": tmp_path}
    first = train(optax.adam(1e-2), 10, **options)
    again = train(optax.adam(1e-2), 10, **options)
    assert same(first.params, again.params)
    assert again.history == first.history
    longer = train(optax.adam(1e-2), 20, **options)
    assert same(longer.params, train(optax.adam(1e-2), 20, evaluate_every=5).params)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 1}, "key is .* there"),
        ({"batch_size": 3}, "sampling.batch_size is null there and 3 here"),
        ({"identity": {"optimizer": "sgd"}}, 'optimizer is nothing there and "sgd" here'),
    ],
)
def test_a_directory_of_another_run_is_refused(train, tmp_path, change, message):
    train(optax.adam(1e-2), 2, checkpoint_dir=tmp_path)
    with pytest.raises(ValueError, match=message):
        train(optax.adam(1e-2), 2, checkpoint_dir=tmp_path, **change)


def test_ctrl_c_saves_and_returns_what_there_is(train, tmp_path, capsys):
    previous = signal.getsignal(signal.SIGINT)
    press = lambda history: os.kill(os.getpid(), signal.SIGINT) if len(history) == 3 else None
    options = {"evaluate_every": 4, "checkpoint_dir": tmp_path, "checkpoint_seconds": 1e6}
    result = train(optax.adam(1e-2), 20, **options, on_evaluation=press)
    assert result.stop_reason == "interrupted"
    assert result.num_steps == 8
    assert "once more to stop at once" in capsys.readouterr().out
    assert signal.getsignal(signal.SIGINT) is previous
    resumed = train(optax.adam(1e-2), 20, **options)
    assert resumed.stop_reason == "num_steps"
    assert same(resumed.params, train(optax.adam(1e-2), 20, evaluate_every=4).params)


def test_ctrl_c_twice_interrupts_at_once(train):
    def press_twice(history):
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)

    # What a terminal sets; in the background of a shell SIGINT may be ignored, and then stays so.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            train(optax.adam(1e-2), 20, evaluate_every=4, on_evaluation=press_twice)
    finally:
        signal.signal(signal.SIGINT, before)


def test_fit_runs_in_another_thread(train):
    results = []
    thread = threading.Thread(target=lambda: results.append(train(optax.adam(1e-2), 2)))
    thread.start()
    thread.join()
    assert results[0].stop_reason == "num_steps"


def test_a_diverged_run_leaves_its_last_good_state(train, tmp_path):
    options = {"evaluate_every": 1, "checkpoint_dir": tmp_path, "checkpoint_seconds": 0}
    result = train(optax.sgd(1e6), 100, **options)
    again = train(optax.sgd(1e6), 100, **options)
    assert result.stop_reason == again.stop_reason == "diverged"
    assert same(result.params, again.params)


@pytest.mark.long
def test_a_run_that_began_from_another_network_is_said(train, make_model, tmp_path):
    folder = {"checkpoint_dir": tmp_path, "checkpoint_seconds": 0}
    other = MLP(1, (8, 8), 1, rngs=nnx.Rngs(7))
    first = train(optax.adam(1e-2), 4, model=make_model(), **folder)
    with warnings.catch_warnings():  # the same network, and the one that the run has come to
        warnings.filterwarnings("error", "the run in checkpoint_dir")
        train(optax.adam(1e-2), 6, model=make_model(), **folder)
        second = train(optax.adam(1e-2), 8, model=make_model(), **folder)
        train(optax.adam(1e-2), 8, model=second.model, **folder)
    with pytest.warns(FitWarning, match="began from other parameters"):
        third = train(optax.adam(1e-2), 8, model=other, **folder)
    assert third.final["loss"] == second.final["loss"] != first.final["loss"]

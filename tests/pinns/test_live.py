import io
import sys
from types import SimpleNamespace

import IPython.core.getipython
import IPython.display
import jax
import numpy as np
import optax
import pytest
from flax import nnx
from matplotlib import image

from pinns import MLP, LivePlot, OscillatorInverse, SingularlyPerturbedODE, fit


class Notebook:
    """A shell with a kernel, and the frames of every figure that it was given."""

    def __init__(self):
        self.kernel = object()
        self.callbacks = []
        self.events = SimpleNamespace(
            register=lambda event, callback: self.callbacks.append(callback),
            unregister=lambda event, callback: self.callbacks.remove(callback),
        )
        self.figures = []

    def display(self, frame, display_id):
        assert display_id
        frames = [frame]
        self.figures.append(frames)
        return SimpleNamespace(update=frames.append)

    def end_cell(self):
        for callback in self.callbacks[:]:
            callback(None)


@pytest.fixture
def notebook(monkeypatch):
    shell = Notebook()
    monkeypatch.setattr(IPython.core.getipython, "get_ipython", lambda: shell)
    monkeypatch.setattr(IPython.display, "display", shell.display)
    return shell


def train(problem, live, num_steps=6):
    model = MLP(1, [5], 1, rngs=nnx.Rngs(0))
    options = {"num_steps": num_steps, "key": jax.random.key(0), "progress": False, "evaluate_every": 1}
    return fit(problem, model, optax.adam(1e-3), **options, on_evaluation=live)


@pytest.mark.long
def test_the_last_evaluation_is_drawn_when_the_cell_ends(notebook):
    live = LivePlot()
    result = train(SingularlyPerturbedODE(epsilon=1.0, num_points=20), live)
    (frames,) = notebook.figures
    assert len(frames) < len(result.history)
    notebook.end_cell()
    assert f"error {result.final['rel_l2']:.2e}" in frames[-1].alt
    assert not notebook.callbacks


@pytest.mark.slow
def test_every_training_has_its_own_figure(notebook):
    live = LivePlot("step")
    for problem in (SingularlyPerturbedODE(epsilon=1.0, num_points=20), OscillatorInverse(20, 10)):
        train(problem, live)
    notebook.end_cell()
    train(OscillatorInverse(20, 10), live)
    notebook.end_cell()
    assert len(notebook.figures) == 3
    widths = [image.imread(io.BytesIO(frames[-1].data)).shape[1] for frames in notebook.figures]
    assert widths[0] < widths[1] == widths[2]  # a panel more, for the unknowns


def test_outside_of_a_notebook_it_says_what_to_do_instead(monkeypatch):
    with pytest.raises(RuntimeError, match="progress=True"):
        LivePlot()
    monkeypatch.setattr(IPython.core.getipython, "get_ipython", lambda: SimpleNamespace())  # a terminal
    with pytest.raises(RuntimeError, match="notebook"):
        LivePlot()
    monkeypatch.setitem(sys.modules, "IPython.core.getipython", None)  # not installed
    with pytest.raises(RuntimeError, match="notebook"):
        LivePlot()


def test_another_abscissa_is_an_error():
    with pytest.raises(ValueError, match="num_gradients"):
        LivePlot("epochs")


@pytest.mark.long
def test_components_of_an_unknown_are_drawn_one_by_one(notebook):
    class Matrix(SingularlyPerturbedODE):
        def unknowns(self):
            return {"m": np.eye(2), "k": 1.0}

    result = train(Matrix(num_points=20), LivePlot())
    assert result.stop_reason == "num_steps"
    assert notebook.figures

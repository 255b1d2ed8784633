import os
import re
from pathlib import Path

import nbclient
import nbformat
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
NUMBER = r"([\d.]+(?:e[+-]\d+)?)"
# Of every notebook: how many figures it shows, where it prints an error, and what that is at most.
EXPECTED = {
    "quickstart": (3, rf"ISGD, Gauss–Newton  rel. L2 {NUMBER}", 1e-4),
    "implicit_step": (2, rf"relative residual of the equation {NUMBER}", 1e-8),
    "multiscale": (3, rf"ISGD, Gauss–Newton +{NUMBER}", 1e-2),
    "own_equation": (3, rf"adaptive +relative L2 error {NUMBER}", 5e-3),
    "inverse_problem": (3, rf"of the solution {NUMBER}", 0.03),
    "equinox_and_optax": (1, rf"growing α, clipped +loss {NUMBER}", 1e-8),
    "classifier": (1, None, None),
    "stiffness": (3, rf"step 40: α 1e\+06, loss {NUMBER}", 1e-6),
}

# A folder for the notebooks with their outputs, which the documentation then need not run.
EXECUTED = os.environ.get("EXECUTED_NOTEBOOKS")


def test_every_notebook_has_an_expectation():
    assert {path.stem for path in EXAMPLES.glob("*.ipynb")} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_outputs_are_not_kept(name):
    notebook = nbformat.read(EXAMPLES / f"{name}.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)


# The Jupyter stack has warnings and unclosed sockets of its own.
@pytest.mark.filterwarnings("default")
@pytest.mark.slow
@pytest.mark.parametrize("name", EXPECTED)
def test_notebook_runs_and_shows_its_figures(name):
    notebook = nbformat.read(EXAMPLES / f"{name}.ipynb", as_version=4)
    nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": EXAMPLES}}).execute()
    if EXECUTED:
        nbformat.write(notebook, Path(EXECUTED) / f"{name}.ipynb")
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    figures, pattern, largest = EXPECTED[name]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == figures
    text = "".join(output.get("text", "") for output in outputs)
    if pattern is not None:
        [number] = re.findall(pattern, text)
        assert float(number) < largest
    if name == "classifier":
        [row] = re.findall(r"ISGD, Gauss–Newton +([\d. ]+)", text)
        assert min(float(accuracy) for accuracy in row.split()[-2:]) > 0.95
    if name == "own_equation":
        assert "draw them anew" in text  # what fit says of the uniform points

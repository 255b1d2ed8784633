"""Every Python block of the documentation runs, and every public name is on one of its pages."""

import importlib
import logging
import pathlib
import re
import sys
import types
from typing import Any

import jax
import matplotlib.pyplot as plt
import pytest

DOCS = pathlib.Path(__file__).parent.parent / "docs"
PAGES = sorted(page for page in DOCS.rglob("*.md") if "_build" not in page.parts)
BLOCK = re.compile(r"^```(?:python|\{code-cell\} \w+)\n(?P<code>.*?)^```$", re.DOTALL | re.MULTILINE)
OPTIONS = re.compile(r"(?::[\w-]+:.*\n)+")
PUBLIC = ("isgd_optax", "isgd_optax.diagnostics", "isgd_optax.linear_solvers")
PUBLIC += ("pinns", "pinns.problems", "pinns.samplers")


def blocks(page: pathlib.Path) -> list[tuple[int, str]]:
    """The Python blocks of a page, each with the number of its first line."""
    text = page.read_text()
    found = []
    for match in BLOCK.finditer(text):
        code = match["code"]
        options = OPTIONS.match(code)
        if options:  # of a cell; blank lines in their place keep the numbers of lines
            code = "\n" * options[0].count("\n") + code[options.end() :]
        found.append((text.count("\n", 0, match.start("code")), code))
    return found


def cases() -> list[Any]:
    """The pages with Python blocks. Cells run where the documentation is built: pages of cells are slow."""
    slow = lambda page: [pytest.mark.slow] * ("```python\n" not in page.read_text())
    return [pytest.param(p, id=str(p.relative_to(DOCS)), marks=slow(p)) for p in PAGES if blocks(p)]


@pytest.mark.long
@pytest.mark.parametrize("page", cases())
def test_blocks_run(page, tmp_path, monkeypatch):
    module = types.ModuleType(f"docs_{page.stem}")  # dataclasses look for the module of a class
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.chdir(tmp_path)
    plt.switch_backend("Agg")
    logger = logging.getLogger("isgd_optax")
    monkeypatch.setattr(logger, "handlers", [])
    monkeypatch.setattr(logger, "level", logging.NOTSET)
    try:
        for first_line, code in blocks(page):
            exec(compile("\n" * first_line + code, page, "exec"), module.__dict__)
    finally:
        jax.config.update("jax_enable_x64", False)
        plt.close("all")


@pytest.fixture(scope="module")
def described():
    """What the pages of the reference describe, by identity."""
    directive = re.compile(r"^\.\. (?:py:)?(auto\w+|module|currentmodule|data):: (\S+)$", re.MULTILINE)
    found = {}
    for page in PAGES:
        module = ""
        for kind, path in directive.findall(page.read_text()):
            if kind in ("module", "currentmodule"):
                module, target = path, importlib.import_module(path)
            else:
                parent, _, name = path.rpartition(".")
                target = getattr(importlib.import_module(parent or module), name)
            found[id(target)] = path
    return found


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_described(name, described):
    module = importlib.import_module(name)
    assert not [public for public in module.__all__ if id(getattr(module, public)) not in described]


def test_every_page_is_in_the_table_of_contents():
    contents = (DOCS / "index.md").read_text()
    names = {str(page.relative_to(DOCS).with_suffix("")) for page in PAGES} - {"index"}
    names |= {f"examples/{notebook.stem}" for notebook in (DOCS.parent / "examples").glob("*.ipynb")}
    assert names == set(re.findall(r"^(?:\w+/)?\w+$", contents, re.MULTILINE))

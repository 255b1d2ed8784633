"""One page of everything that was measured: the paper's artefacts beside ours, then the peers."""

import base64
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import jinja2

from benchmarks import field
from benchmarks._artefact import Artefact, title
from benchmarks._claims import VERDICTS, Claim, Verdict
from benchmarks._files import Table, write_text
from benchmarks.paper import trainings

RESULTS = Path(__file__).parent / "results"
TEMPLATES = Path(__file__).parent / "templates"


@dataclasses.dataclass(frozen=True)
class Run:
    """A recorded run of an artefact.

    Args:
      title: which of several runs of the same experiment it is.
      commands: what made it, the latest call first.
      machine: device and versions.
      figures: PNG files.
      data: what was measured.
      source: the file of the result, or the folder of several.
      claims: the paper's beside it.
    """

    title: str
    commands: list[str]
    machine: str
    figures: list[Path]
    data: Table
    source: Path
    claims: Sequence[Claim] = ()

    @property
    def verdicts(self) -> dict[Verdict, int]:
        """How many of the paper's claims have each verdict."""
        return {v: sum(c.verdict == v and not c.asked for c in self.claims) for v in VERDICTS}

    def data_uris(self) -> list[tuple[str, str]]:
        """Each figure's name and its content, for a page of one file."""
        return [
            (path.stem, "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode())
            for path in self.figures
        ]


@dataclasses.dataclass(frozen=True)
class Section:
    """An experiment and its recorded runs.

    Args:
      name: of the experiment.
      title: the first line of its documentation.
      kind: ``"field"``, ``"paper"`` or ``"peers"``.
      runs: the recorded runs; those at paper scale first.
      setting: what is run.
    """

    name: str
    title: str
    kind: Literal["field", "paper", "peers"]
    runs: list[Run]
    setting: str = ""


def sections(artefacts: Sequence[type[Artefact]], results: Path = RESULTS) -> list[Section]:
    """Every artefact with the runs that lie below ``results``, in folders or on their own."""
    found = []
    for artefact in artefacts:
        files = sorted(results.rglob(f"{artefact.name}.json"), key=lambda p: ("paper" not in str(p), str(p)))
        runs = [_recorded(artefact, path) for path in files]
        named = title(artefact).removesuffix(".")
        found.append(Section(artefact.name, named, artefact.kind, runs, artefact.setting))
    return found


def trainings_section(results: Path = RESULTS) -> Section:
    """The single trainings that lie below ``results``, as one run."""
    found = trainings.read(results)
    run = _run(
        "recorded runs",
        list(found.values()),
        figures=sorted(results.glob("*/solution.png")),
        data=trainings.data(found),
        claims=trainings.claims(found),
        source=results,
    )
    return _section(trainings, "paper", [run] if found else [])


def field_section(results: Path, folder: Path) -> Section:
    """The field's problems, a run for every preset, with one figure that is drawn into ``folder``."""
    found = {preset: field.read(results, preset) for preset in field.TITLES}
    found = {preset: by_problem for preset, by_problem in found.items() if by_problem}
    drawn, classical = folder / "field.png", field.classical(results)
    if found:
        field.draw(found, drawn)
    runs = []
    for preset, by_problem in found.items():
        run = _run(
            field.TITLES[preset],
            [summary for each in by_problem.values() for summary, _ in each],
            figures=[] if runs else [drawn],
            data=field.data(by_problem, preset, classical=classical),
            source=results / "field",
        )
        runs.append(run)
    return _section(field, "field", runs)


def _section(module: Any, kind: Literal["field", "paper"], runs: list[Run]) -> Section:
    """What a module tells of single trainings."""
    name = module.__name__.rpartition(".")[2]
    return Section(name, title(module).removesuffix("."), kind, runs, module.SETTING)


def _run(text: str, calls: Sequence[dict[str, Any]], **run: Any) -> Run:
    """What several calls have made, with their commands, devices and versions."""
    versions = lambda call: ", ".join(f"{name} {version}" for name, version in call["versions"].items())
    machines = (f"{call['device']}; {versions(call)}" for call in calls)
    commands = list(dict.fromkeys(call["command"] for call in calls))
    return Run(text, commands, " / ".join(dict.fromkeys(machines)), **run)


def _recorded(artefact: type[Artefact], path: Path) -> Run:
    result = json.loads(path.read_text())
    preset = result.get("preset")
    used = {row["call"] for row in result["rows"]}
    calls = [call for i, call in reversed([*enumerate(result["calls"])]) if i in used]
    return _run(
        result.get("dataset") or (f"preset {preset}" if preset else "recorded run"),
        calls,
        figures=sorted(path.parent.glob(f"{artefact.name}*.png")),
        data=artefact.data(result),
        claims=artefact.claims(result),
        source=path,
    )


def write_report(found: Sequence[Section], folder: Path) -> tuple[Path, Path]:
    """Writes report.html, which needs no other file, and report.md.

    Args:
      found: from :func:`sections` and :func:`trainings_section`.
      folder: where.
    """
    pages = []
    for name in ("report.html", "report.md"):
        write_text(folder / name, render(f"{name}.jinja", sections=found))
        pages.append(folder / name)
    return pages[0], pages[1]


def render(template: str, **values: Any) -> str:
    """A page from its template.

    Args:
      template: name of a file in the folder of templates.
      values: what it shows.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=lambda name: name is not None and ".html" in name,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**values)

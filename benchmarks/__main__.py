"""The command line: ``python -m benchmarks list | run EXPERIMENT | demo | report``."""

import functools
import operator
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from benchmarks import _experiments, _field, _measurements, report
from benchmarks._artefact import Artefact, title
from benchmarks._demo import demo
from benchmarks._experiment import Experiment
from benchmarks._files import Table, write_text
from benchmarks._reproduction import reproduction_page
from benchmarks._train import train
from pinns import limited_blas_threads

KINDS = (*_experiments.KINDS, *_field.KINDS, *_measurements.KINDS)
if TYPE_CHECKING:  # the union of the tables' rows is made when the program runs
    Runnable = Experiment | Artefact
else:
    Runnable = functools.reduce(
        operator.or_, (Annotated[kind, tyro.conf.subcommand(kind.name)] for kind in KINDS)
    )


def list_experiments() -> None:
    """List the experiments that ``run`` knows."""
    print(Table.of(KINDS, {"experiment": lambda kind: kind.name, "what it is": title}))
    print("\nOptions of one of them: python -m benchmarks run EXPERIMENT --help")


def run(experiment: Annotated[Runnable, tyro.conf.arg(name="")]) -> None:
    """Run an experiment, or resume it where it was interrupted.

    Args:
      experiment: which.
    """
    if not isinstance(experiment, Experiment):
        experiment.run()
        return
    summary = train(experiment)
    names = ("rel_l2", "max_error", "loss", "fresh_loss", "num_gradients", "train_seconds", "compile_seconds")
    shown = [name for name in names if name in summary]
    print(Table(["stopped", *shown], [[summary["stop_reason"], *(f"{summary[key]:.3g}" for key in shown)]]))
    for name, (value, error) in summary.get("unknowns", {}).items():
        print(f"{name} = {value:.10g} ± {error:.2g}")
    print(f"results in {experiment.folder()}")
    if summary["stop_reason"] == "interrupted":
        print("interrupted; the same command continues")
        sys.exit(130)


def run_report(
    results: Path = report.RESULTS, out: Path = Path("runs/report"), reproduction: Path | None = None
) -> None:
    """Build report.html, a page of one file, and report.md from the recorded results.

    Args:
      results: folder of the results, by default the committed ones.
      out: folder of the report.
      reproduction: also write REPRODUCTION.md, the verdicts alone, to this file.
    """
    papers = [*report.sections(_measurements.REPORTED, results), report.trainings_section(results)]
    pages = list(report.write_report([report.field_section(results, out), *papers], out))
    if reproduction is not None:
        write_text(reproduction, reproduction_page(papers))
        pages.append(reproduction)
    print(*pages, sep=", ")


def main(args: list[str] | None = None) -> None:
    """Parses the command line and does what it says."""
    commands = {"list": list_experiments, "run": run, "demo": demo, "report": run_report}
    with limited_blas_threads():
        tyro.extras.subcommand_cli_from_dict(
            commands,
            prog="python -m benchmarks",
            args=args,
            config=(tyro.conf.OmitSubcommandPrefixes, tyro.conf.OmitArgPrefixes),
        )


if __name__ == "__main__":
    main()

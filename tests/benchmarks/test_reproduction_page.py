"""The claims of the committed results: the page of them, and the commands of what is not measured."""

import collections
import json
import shlex

import pytest

from benchmarks import __main__ as command_line
from benchmarks import _measurements, report
from benchmarks._reproduction import GROUPS, group, reproduction_page
from benchmarks.report import RESULTS


@pytest.fixture(scope="module")
def sections():
    return [*report.sections(_measurements.REPORTED), report.trainings_section()]


@pytest.fixture(scope="module")
def claims(sections):
    return [c for section in sections if section.kind == "paper" for r in section.runs for c in r.claims]


def test_the_committed_reproduction_says_what_the_claims_say(sections):
    committed = (RESULTS.parents[1] / "REPRODUCTION.md").read_text()
    assert committed == reproduction_page(sections), (
        "run `python -m benchmarks report --reproduction REPRODUCTION.md`"
    )


def test_every_claim_stands_in_the_reproduction_under_its_own_verdict(sections, claims):
    said, asked = reproduction_page(sections).split("\n## Not said by the paper")
    for part, mark, rest in ((said, "\n## ", False), (asked.split("\n## What was run")[0], "\n### ", True)):
        for text in part.split(mark)[1:]:
            title, body = text.split("\n", 1)
            rows = [line.split(" | ")[1] for line in body.splitlines() if line.startswith("| [")]
            name = title.removesuffix(", not said by the paper")
            assert rows == [c.paper for c in claims if c.asked == rest and group(c) == name]
    assert all(f"\n## {name}\n" in said for name in GROUPS)


def test_no_statement_both_holds_and_does_not(claims, sections):
    for section in sections:
        verdicts = collections.defaultdict(set)
        for r in section.runs:
            for claim in r.claims:
                # The digits are not the paper's data: what holds there need not on MNIST.
                verdicts[claim.paper, claim.asked].add(claim.verdict)
        for statement, found in verdicts.items():
            assert not {"holds", "does not hold"} <= found, (section.name, statement)


def test_what_the_paper_has_not_is_not_counted_as_its_claim(claims):
    for claim in claims:
        if any(
            word in claim.paper for word in ("Gauss–Newton", "without a second phase", "second phase alone")
        ):
            assert claim.asked, claim
    digits = next(
        r for s in report.sections([_measurements.Table2]) for r in s.runs if "not MNIST" in r.title
    )
    assert all(claim.asked for claim in digits.claims)


def test_what_is_not_recorded_names_a_command_that_the_command_line_knows(claims, monkeypatch):
    ran = []
    monkeypatch.setattr(command_line, "train", lambda experiment: ran.append(experiment) or {})
    monkeypatch.setattr(command_line, "Table", lambda *args: "")
    for kind in _measurements.KINDS:
        monkeypatch.setattr(kind, "run", lambda self: ran.append(self))
    monkeypatch.setattr(
        command_line,
        "train",
        lambda e: ran.append(e.plan()) or collections.defaultdict(float, stop_reason="x"),
    )
    commands = {c.command for c in claims if c.command}
    assert len(commands) > 20
    for text in commands:
        words = shlex.split(text)
        assert words[:3] == ["python", "-m", "benchmarks"]
        command_line.main(words[3:])
    assert len(ran) == len(commands)
    assert all(claim.verdict == "not measured" for claim in claims if claim.command)


def test_every_number_of_the_table_of_gauss_newton_runs_is_in_the_results_readme():
    page = (RESULTS / "README.md").read_text()
    for folder in RESULTS.glob("*-isgd-gn-seed*"):
        summary = json.loads((folder / "summary.json").read_text())
        for key in ("rel_l2", "max_error"):
            text = f"{summary[key]:.1e}".replace("e-0", "e-")
            assert text in page, (folder.name, key, text)

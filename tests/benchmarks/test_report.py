import shutil

import pytest

from benchmarks import _measurements, report
from benchmarks._claims import Claim, claim, median, number, spread

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    field = report.field_section(report.RESULTS, folder)
    found = [field, *report.sections(_measurements.REPORTED), report.trainings_section()]
    return report.write_report(found, folder)


def test_markdown_shows_every_experiment_with_its_command(pages):
    text = pages[1].read_text()
    for kind in _measurements.REPORTED:
        assert kind.__doc__.splitlines()[0].removesuffix(".") in text
    assert "python -m benchmarks run stiff_quadratic" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) > 50
    assert not any("&lt;" in line or "&#" in line for line in rows)  # only HTML is escaped


def test_every_recorded_run_has_its_command_figures_data_and_verdicts():
    found = report.sections(_measurements.REPORTED)
    assert all(section.runs for section in found)
    for section in found:
        for run in section.runs:
            assert all(command.startswith("python -m benchmarks run") for command in run.commands)
            assert run.figures or section.name in ("overhead", "ablations", "classical")  # numbers alone
            assert run.data.rows
            assert all(len(row) == len(run.data.header) for row in run.data.rows)
            assert section.kind != "paper" or run.claims


def test_the_overview_has_a_row_for_every_run_of_the_papers_artefacts(pages):
    overview = pages[0].read_text().split('id="overview"')[1].split("</table>")[0]
    runs = [r for s in report.sections(_measurements.REPORTED) if s.kind == "paper" for r in s.runs]
    assert overview.count('<tr><td><a href="#') == len(runs) + 1  # the single trainings
    assert "not MNIST" in overview
    assert "<td>MNIST</td>" in overview


def test_a_result_that_is_missing_is_said_to_be(tmp_path):
    html, markdown = report.write_report(report.sections(_measurements.REPORTED, tmp_path), tmp_path / "out")
    assert markdown.read_text().count("No run is recorded") == len(_measurements.REPORTED)
    assert "No run is recorded" in html.read_text()


# pip cannot install a browser and make test must work without one; .ci/run installs Chromium.
@pytest.mark.long
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (apt install chromium)")
@pytest.mark.filterwarnings("default")  # the browser driver's own
@pytest.mark.parametrize(
    ("width", "height"),
    [pytest.param(1280, 900, id="screen", marks=pytest.mark.slow), pytest.param(390, 844, id="phone")],
)
def test_page_renders_in_a_browser_and_its_tables_sort(pages, width, height):
    from playwright.sync_api import sync_playwright

    messages = []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        page = browser.new_page(viewport={"width": width, "height": height})
        page.on("console", lambda message: messages.append(message.text))
        page.on("pageerror", lambda error: messages.append(str(error)))
        page.on(
            "request",
            lambda request: (
                None if request.url.startswith(("file:", "data:")) else messages.append(request.url)
            ),
        )
        page.goto(pages[0].as_uri())
        for kind in _measurements.REPORTED:
            assert page.locator(f"section#{kind.name} h2").is_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        for image in page.locator("img").all():
            image.scroll_into_view_if_needed()
            assert image.evaluate("async image => { await image.decode(); return image.naturalWidth; }") > 100
        counts = lambda: page.locator("#overview tbody td:nth-child(3)").all_inner_texts()
        heading = page.locator("#overview thead button").nth(2)
        heading.click()
        assert [int(c) for c in counts()] == sorted(int(c) for c in counts())
        heading.click()
        assert [int(c) for c in counts()] == sorted((int(c) for c in counts()), reverse=True)
        browser.close()
    assert messages == []


def test_claims_say_what_was_measured():
    assert claim("p", "o", True) == Claim("p", "o", "holds")
    assert claim("p", "o", False).verdict == "does not hold"
    assert claim("p", "o", None).verdict == "undecided"
    assert claim("p", "o", True, measured=[0]).verdict == "holds"
    assert claim("p", "o", True, measured=[]) == Claim("p", "no run is recorded", "not measured")
    assert claim("p", "o", None, measured=False, command="run").command == "run"
    assert claim("p", "o", None, command="run").command == ""
    assert claim("p", "o", True, asked=True).asked


def test_a_diverged_run_counts_as_infinitely_wrong():
    assert median([1.0, None, 2.0]) == 2.0
    assert median([float("nan"), None, 2.0]) == float("inf")
    assert spread([1e-6, 2e-6, None]) == "2.0e-06 (1.0e-06–diverged)"
    assert number(0.0271) == "0.027"

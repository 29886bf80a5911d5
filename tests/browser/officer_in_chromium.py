"""The page of `abonent report` in a real browser, on a phone, on a desk and on paper."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import pytest

from abonent.compliance.page import page
from tests.browser.chromium import Chromium, Seen, chromium
from tests.browser.report_in_chromium import (
    SMALLEST,
    is_within,
    lightness,
    overlap,
    plots,
    sides,
)
from tests.compliance import test_page

WIDTHS = pytest.mark.parametrize("width", [390, 1280])
REPORTS = {"full": test_page.full, "hostile": test_page.hostile, "empty": test_page.empty}
PLOTS = ["plot-answers", "plot-notices", "plot-exposure"]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with chromium(tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture(scope="module", params=list(REPORTS))
def report(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a quarter, of one with names of harm, and of one without data."""
    file = tmp_path_factory.mktemp("report") / f"{request.param}.html"
    file.write_text(page(REPORTS[request.param]()), encoding="utf-8")
    return file


@pytest.fixture
def seen(browser: Chromium, report: Path, width: int) -> Seen:
    return browser.look(report, width)


@WIDTHS
def test_the_page_opens_quietly(seen: Seen) -> None:
    """The console says nothing, and nothing else was asked for."""
    assert "identification" in seen.page["title"]
    assert [] == seen.console
    assert [] == seen.page["requests"]


@WIDTHS
def test_nothing_sticks_out(seen: Seen, width: int) -> None:
    """No scrolling to the side: words, tables and plots end before the edge."""
    assert seen.page["client"] in {width, width - 15}  # a desk has a scroll bar
    assert seen.page["scroll"] <= seen.page["client"]
    for each in seen.page["words"]:
        assert each["box"][0] >= 0, each["text"]
        assert each["box"][2] <= seen.page["client"] + 0.5, each["text"]
    for name, plot in plots(seen):
        assert plot["box"] is None or plot["box"][2] <= seen.page["client"] + 0.5, name


@WIDTHS
def test_all_text_is_large_enough_to_read(seen: Seen) -> None:
    """At least 11 pixels as shown, in plots too."""
    texts = [*seen.page["words"], *(each for _, plot in plots(seen) for each in plot["texts"])]
    assert [] == [each["text"] for each in texts if each["size"] < SMALLEST]


@WIDTHS
def test_plots_are_drawn_and_their_words_apart(seen: Seen, report: Path) -> None:
    """Marks inside of their frames; no label is cut off, and none covers another."""
    if report.stem == "empty":
        assert [] == list(plots(seen))
        return
    assert PLOTS == [name for name, _ in plots(seen)]
    for name, plot in plots(seen):
        drawn = [each for each in plot["marks"] if max(sides(each)) > 1]
        assert 3 <= len(drawn), name
        assert all(is_within(each, plot["box"]) for each in drawn), name
        for each in plot["texts"]:
            assert is_within(each["box"], plot["box"]), (name, each["text"])
        for one, other in combinations(plot["texts"], 2):
            assert not overlap(one["box"], other["box"]), (name, one["text"], other["text"])


@WIDTHS
@pytest.mark.parametrize("report", ["full"], indirect=True)
def test_the_late_operator_stands_out_at_first_sight(
    browser: Chromium, seen: Seen, width: int
) -> None:
    """Its name is in the first screen, large and red, by day and by night."""
    (headline,) = [each for each in seen.page["words"] if each["text"] == "beta is late."]
    assert headline["box"][3] < 600
    assert 24 <= headline["size"]
    assert "rgb(179, 38, 30)" == browser.style(".headline", "color")
    assert seen.page["ink"] != browser.style(".headline", "color")


def test_the_night_is_dark(browser: Chromium, report: Path) -> None:
    """Paper and ink change places."""
    for width in (390, 1280):
        night = browser.look(report, width, night=True)
        ink = browser.style("body", "color")
        assert lightness(ink) > lightness(night.page["paper"]) + 150
        assert [] == night.console


@pytest.mark.parametrize("report", ["full"], indirect=True)
def test_it_prints(browser: Chromium, report: Path) -> None:
    """On a few pages of A4, also from a dark screen."""
    for night in (False, True):
        browser.look(report, 1280, night=night)
        printed = browser.printed(report)
        assert printed.startswith(b"%PDF-")
        assert 3 <= len(re.findall(rb"/Type /Page\b", printed)) <= 8
        sizes = set(re.findall(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", printed))
        assert {(595, 842)} == {(round(float(w)), round(float(h))) for w, h in sizes}

"""The report of `abonent simulate` in a real browser, on a phone and on a desk."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from abonent.cli.simulate.page import page
from tests.browser.chromium import Chromium, Seen, chromium
from tests.cli import worlds
from tests.cli.observing import run

SMALLEST = 11
"""Pixels: smaller text is hard to read on a phone."""
LEAST = {"states": 4, "answers": 1, "notices": 1, "exposure": 2, "failures": 2}
"""How many marks of data each plot has at least."""
WIDTHS = pytest.mark.parametrize("width", [360, 1280])
Box = list[float]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with chromium(tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture(scope="module", params=["real", "violated"])
def report(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a small world that was run, and of one that broke, with lines that are long."""
    file = tmp_path_factory.mktemp("report") / "world.html"
    if request.param == "real":
        world = ("--seed", "3", "--days", "12", "--subscribers", "40")
        status, _, err = run("simulate", *world, "--report", str(file))
        assert (0, "") == (status, err)
        return file
    violation = worlds.broken().violation
    assert violation is not None
    history = (*violation.history, "x" * 300, "word " * 100)
    outcome = evolve(worlds.broken(), violation=evolve(violation, history=history))
    file.write_text(page(outcome, worlds.PLAN), encoding="utf-8")
    return file


@pytest.fixture
def seen(browser: Chromium, report: Path, width: int) -> Seen:
    return browser.look(report, width)


def plots(seen: Seen) -> Iterator[tuple[str, dict[str, Any]]]:
    for each in seen.page["figures"]:
        yield each["name"], each


def sides(box: Box) -> tuple[float, float]:
    left, top, right, bottom = box
    return right - left, bottom - top


@WIDTHS
def test_the_page_opens_quietly(seen: Seen) -> None:
    """It is the report; the console says nothing, and nothing else was asked for."""
    assert seen.page["title"].startswith("Simulated world")
    assert [] == seen.console
    assert [] == seen.page["requests"]


@WIDTHS
def test_no_plot_is_empty(seen: Seen) -> None:
    """Each plot has as many marks with a size as its data ask for, inside of its frame."""
    assert list(LEAST) == [name for name, _ in plots(seen)]
    for name, plot in plots(seen):
        width, height = sides(plot["box"])
        assert min(width, height) >= 100, name
        drawn = [each for each in plot["marks"] if max(sides(each)) > 1]
        assert len(drawn) >= LEAST[name], name
        reach = max(each[2] for each in drawn) - min(each[0] for each in drawn)
        assert reach > width / 3, name
        for mark in drawn:
            assert is_within(mark, plot["box"]), name


@WIDTHS
def test_curves_rise(seen: Seen) -> None:
    """The shares of answers and notices climb through the frame, from left to right."""
    for name, plot in plots(seen):
        if name in {"answers", "notices"}:
            (curve,) = plot["marks"]
            across, up = sides(curve)
            width, height = sides(plot["box"])
            assert across > width / 2, name
            assert up > height / 4, name


@WIDTHS
def test_nothing_sticks_out(seen: Seen, width: int) -> None:
    """No scrolling to the side: the page, its words and its plots end before the edge."""
    assert seen.page["client"] in {width, width - 15}  # a desk has a scroll bar
    assert seen.page["scroll"] <= seen.page["client"]
    for each in seen.page["words"]:
        assert each["box"][0] >= 0, each["text"]
        assert each["box"][2] <= seen.page["client"] + 0.5, each["text"]
    for name, plot in plots(seen):
        assert plot["box"][0] >= 0, name
        assert plot["box"][2] <= seen.page["client"] + 0.5, name


@WIDTHS
def test_all_text_is_large_enough_to_read(seen: Seen) -> None:
    """At least 11 pixels as shown, in plots too, where the drawing is scaled to the page."""
    texts = [*seen.page["words"], *(each for _, plot in plots(seen) for each in plot["texts"])]
    assert len(texts) > 100
    small = [(each["text"], each["size"]) for each in texts if each["size"] < SMALLEST]
    assert [] == small


@WIDTHS
def test_words_in_plots_are_whole_and_apart(seen: Seen) -> None:
    """No label is cut off by the edge of its drawing, and none covers another."""
    for name, plot in plots(seen):
        assert len(plot["texts"]) > 5, name
        for each in plot["texts"]:
            assert is_within(each["box"], plot["box"]), (name, each["text"])
        for one, other in combinations(plot["texts"], 2):
            assert not overlap(one["box"], other["box"]), (name, one["text"], other["text"])


def test_the_night_is_dark(browser: Chromium, report: Path) -> None:
    """Where a dark scheme is wished for, paper and ink change places, in plots too."""
    day, night = (browser.look(report, 360, night=each) for each in (False, True))
    for each in ("paper", "ink"):
        assert day.page[each] != night.page[each]
    assert lightness(day.page["paper"]) > lightness(day.page["ink"]) + 150
    assert lightness(night.page["ink"]) > lightness(night.page["paper"]) + 150
    assert [] == night.console


def is_within(inner: Box, outer: Box) -> bool:
    left, top, right, bottom = (i - o for i, o in zip(inner, outer, strict=True))
    return left >= -1 and top >= -1 and right <= 1 and bottom <= 1


def overlap(one: Box, other: Box) -> bool:
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    return across > 1 and down > sides(one)[1] / 3  # lines may touch, letters may not


def lightness(colour: str) -> float:
    """The mean of red, green and blue in `rgb(…)`."""
    parts = [float(each) for each in colour.partition("(")[2].rstrip(")").split(",")[:3]]
    return sum(parts) / len(parts)

"""The page that `abonent simulate --report` writes, read as text; a browser reads it elsewhere."""

from __future__ import annotations

import re
from functools import cache
from html.parser import HTMLParser

import matplotlib as mpl
from attrs import evolve

from abonent.cli.simulate.page import page
from abonent.simulation.world import Exposure, Violation, WorldOutcome
from tests.cli import worlds

PLOTS = ["states", "answers", "notices", "exposure", "failures"]
HOSTILE = '<script>alert("$x$")</script>&amp;$y$'


class Read(HTMLParser):
    """A page as elements with their attributes, in order, and all its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [found for name, found in self.elements if name == tag]


def read(outcome: WorldOutcome) -> Read:
    return Read(page(outcome, worlds.PLAN))


@cache
def full() -> str:
    return page(worlds.full(), worlds.PLAN)


def test_all_five_plots_are_there_and_accessible() -> None:
    """Each is an inline image with a title, a description and text that is text."""
    found = Read(full())
    assert PLOTS == [each["id"] for each in found.all("figure")]
    drawn = found.all("svg")
    assert ["img"] * 5 == [each["role"] for each in drawn]
    ids = {each.get("id") for _, each in found.elements}
    for name, each in zip(PLOTS, drawn, strict=True):
        assert each["aria-labelledby"] == f"{name}-title {name}-desc"
        assert {f"{name}-title", f"{name}-desc"} <= ids
    assert len(found.all("text")) > 40
    for words in ("limit: 20 min", "limit: 24 h", "gates open", "still open", "too many failures"):
        assert words in found.text


def test_exposures_are_counted_by_how_long_they_lasted() -> None:
    """Closed already, within an hour, a day, a week, longer, and still open whatever its length."""
    exposures = [
        *[Exposure(kind="terminated", seconds=0.0, closed=True)] * 6,
        *[Exposure(kind="terminated", seconds=3_600.0, closed=True)] * 5,
        *[Exposure(kind="ported", seconds=86_400.0, closed=True)] * 4,
        *[Exposure(kind="terminated", seconds=604_800.0, closed=True)] * 3,
        *[Exposure(kind="terminated", seconds=604_801.0, closed=True)] * 2,
        *[Exposure(kind="ported", seconds=10.0, closed=False)] * 7,
    ]
    text = page(evolve(worlds.empty(), exposures=tuple(exposures)), worlds.PLAN)
    words = re.findall(r"<text[^>]*>([^<]*)</text>", text)
    first = words.index("closed already")
    assert ["6", "5", "4", "3", "2", "7"] == words[first + 6 : first + 12]
    assert ["ported", "terminated"] == words[first + 12 :]


def test_the_page_asks_for_nothing() -> None:
    """No script, no address but the names of XML, and a policy that forbids the rest."""
    text = full()
    assert not re.findall(r"(?:https?:)?//[a-z]", text)
    assert not re.findall(r"url\((?!#)|@import|javascript:", text)
    found = Read(text)
    assert not {"script", "link", "img", "image", "iframe", "a", "form"} & {
        tag for tag, _ in found.elements
    }
    for _, attributes in found.elements:
        assert not {"src", "srcset", "onload", "onclick"} & set(attributes)
        assert (attributes.get("href") or "#").startswith("#")
    (policy,) = [each for each in found.all("meta") if "http-equiv" in each]
    assert (policy["content"] or "").startswith("default-src 'none';")


def test_no_id_is_there_twice_and_every_reference_is_kept() -> None:
    """Five drawings on one page do not take each other's clips and markers."""
    text = full()
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert sorted(set(ids)) == sorted(ids)
    assert set(re.findall(r'(?:url\(|href=")#([\w-]+)', text)) <= set(ids)


def test_the_page_decides_on_colours() -> None:
    """No drawing has a colour of its own: by night they are others."""
    text = full()
    drawn = "".join(re.findall(r"<svg.*?</svg>", text, re.DOTALL))
    assert not re.findall(r"(?:fill|stroke): #", drawn)
    named = set(re.findall(r"var\((--[\w-]+)\)", text))
    assert named <= set(re.findall(r"(--[\w-]+):", text))
    assert {"--ink", "--limit", "--hue-0", "--hue-4"} <= named


def test_the_head_says_what_was_run() -> None:
    """Seed, days, subscribers, store, steps, speed, verdict, and how to repeat it."""
    found = Read(full())
    for words in ("Seed7", "Subscribers3", "Storememory", "Steps1,234", "Steps a second2,468"):
        assert words in found.text
    assert "Every invariant held." in found.text
    assert worlds.PLAN.command in found.text
    assert "shortest history" not in found.text


def test_rare_branches_are_listed_seen_or_not() -> None:
    """Each by name, how often, or that it was not seen; and how many of them were."""
    found = Read(full())
    assert "Rare branches: 1 of 2 seen" in found.text
    assert "an answer in the last microsecond4" in found.text
    assert "keys rotatednot seen" in found.text


def test_a_violation_is_on_top_with_its_history() -> None:
    """What broke, when, and every line of the history."""
    found = read(worlds.broken())
    assert "I2 was violated: an answer passed that came too late" in found.text
    assert "Every invariant held" not in found.text
    assert "\n".join(worlds.HISTORY) in found.text
    assert found.all("body") == [{"class": "violated"}]


def test_a_violation_without_history_says_so() -> None:
    """An empty history is not an empty box."""
    violation = worlds.broken().violation
    assert violation is not None
    found = read(evolve(worlds.broken(), violation=evolve(violation, history=())))
    assert "No history was recorded." in found.text


def test_an_empty_world_says_so() -> None:
    """Where there is nothing to draw there is a sentence, and no empty plot."""
    found = read(worlds.empty())
    assert PLOTS == [each["id"] for each in found.all("figure")]
    assert [] == found.all("svg")
    for words in (
        "Nobody took part while it was watched.",
        "No operator was asked.",
        "No notice arrived.",
        "No identified user lost their number.",
        "Nobody was refused, and every attempt passed.",
    ):
        assert words in found.text


def test_operators_that_never_answer_have_a_plot() -> None:
    """With no answer at all the share stays at nothing, and there is no quantile to tell."""
    silent = [each for each in worlds.full().answers if each.seconds is None]
    found = read(evolve(worlds.full(), answers=tuple(silent)))
    assert 5 == len(found.all("svg"))
    assert "within a time.  Too late: 0; never answered: 2." in found.text


def test_what_is_named_by_others_is_text() -> None:
    """Names with tags, quotes and dollar signs are shown as they are, wherever they stand."""
    outcome = evolve(
        worlds.full(),
        store=HOSTILE,
        events={HOSTILE: 1},
        seen={HOSTILE: 1},
        failures={HOSTILE: 2},
        exposures=(Exposure(kind=HOSTILE, seconds=1.0, closed=True),),
        samples=tuple(evolve(each, states={HOSTILE: 2}) for each in worlds.full().samples),
        violation=Violation(invariant=HOSTILE, what=HOSTILE, at=worlds.STARTED, history=(HOSTILE,)),
    )
    found = read(outcome)
    assert [] == found.all("script")
    # verdict, store, history; then in plots, captions and tables, all in lower case
    assert 10 < found.text.count('alert("$x$")')
    assert found.text.count("&amp;$y$") == found.text.count('alert("$x$")')


def test_settings_of_the_user_do_not_reach_the_drawings() -> None:
    """Whoever prefers outlines or TeX in their own plots has the same page."""
    with mpl.rc_context({"svg.fonttype": "path", "text.usetex": True, "font.size": 30}):
        assert full() == page(worlds.full(), worlds.PLAN)


def test_one_world_is_one_page() -> None:
    """No date, no random id: the same outcome gives the same bytes."""
    assert full() == page(worlds.full(), worlds.PLAN)

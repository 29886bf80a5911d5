"""The report: one HTML page about a world, that needs nothing else.

Knows what stands where. Refuses to compute a figure, and to put anything into the page but through
`abonent.pages`.
"""

from __future__ import annotations

from abonent.cli.simulate import figures
from abonent.cli.simulate.figures import by_count
from abonent.cli.simulate.plan import Plan
from abonent.cli.simulate.plots import plots
from abonent.pages.html import document, facts, figure, table, text
from abonent.pages.words import in_words
from abonent.simulation.world import Violation, WorldOutcome


def page(outcome: WorldOutcome, plan: Plan) -> str:
    """Return the page about a world, as HTML."""
    body = f"""{_header(outcome, plan)}
<main>
{_history(outcome.violation)}
<div class="plots">
{"".join(figure(each.name, each.title, each.says, each.svg) for each in plots(outcome))}
{_measured(outcome)}
</div>
<div class="tables">
{_rare(outcome)}
{_events(outcome)}
</div>
</main>"""
    kind = "held" if outcome.ok else "violated"
    return document(f"Simulated world {outcome.seed}", body, kind=kind)


def _header(outcome: WorldOutcome, plan: Plan) -> str:
    violation = outcome.violation
    verdict = (
        "Every invariant held."
        if violation is None
        else f"{violation.invariant} was violated: {violation.what}"
    )
    told = (
        ("Seed", str(outcome.seed)),
        ("Days", f"{outcome.days:g}"),
        ("Subscribers", f"{outcome.subscribers:,}"),
        ("Store", outcome.store),
        ("Began", f"{outcome.started:%Y-%m-%d}"),
        ("Steps", f"{outcome.steps:,}"),
        ("Steps a second", f"{figures.steps_per_second(outcome):,.0f}"),
        ("Crashes", f"{outcome.crashes:,}"),
    )
    return f"""<header>
<h1>A simulated world</h1>
<p class="verdict">{text(verdict)}</p>
{facts(told)}
<p>The same happens again with <code>{text(plan.command)}</code></p>
</header>"""


def _history(violation: Violation | None) -> str:
    if violation is None:
        return ""
    lines = "\n".join(violation.history) or "No history was recorded."
    return f"""<section>
<h2>The shortest history found that still breaks it</h2>
<p>It broke at {violation.at:%Y-%m-%d %H:%M:%S.%f}.</p>
<pre>{text(lines)}</pre>
</section>"""


def _measured(outcome: WorldOutcome) -> str:
    measured = table(("", "Answers", "Notices", "Exposure"), figures.times_in_words(outcome))
    return f'<section id="times">\n<h2>Times</h2>\n{measured}\n</section>'


def _rare(outcome: WorldOutcome) -> str:
    met = sum(count > 0 for count in outcome.seen.values())
    rows = [
        (in_words(name), f"{count:,}" if count else "not seen")
        for name, count in outcome.seen.items()
    ]
    return f"""<section id="rare">
<h2>Rare branches: {met} of {len(outcome.seen)} seen</h2>
{table(("Branch", "Times"), rows)}
</section>"""


def _events(outcome: WorldOutcome) -> str:
    rows = [(name, f"{count:,}") for name, count in by_count(outcome.events)]
    return f"""<section id="events">
<h2>What happened</h2>
{table(("Event", "Times"), rows)}
</section>"""

"""The report: one HTML page that needs nothing else, no script and no network.

Knows HTML and its escaping: nothing gets into the page but through `escape`, or as an SVG made in
`drawing`. Refuses to compute a figure.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Final

from abonent.cli.simulate import figures
from abonent.cli.simulate.figures import by_count, in_words
from abonent.cli.simulate.plan import Plan
from abonent.cli.simulate.plots import Plot, plots
from abonent.simulation.world import Violation, WorldOutcome

# The page may style itself; it may load nothing, run nothing and send nothing.
_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'"
)
_STYLE: Final = """
:root {
  color-scheme: light dark;
  --paper: #fff; --card: #f6f7f9; --ink: #1b1f24; --faint: #8a929c;
  --limit: #b3261e; --good: #0a6b4b;
  --hue-0: #009e73; --hue-1: #e69f00; --hue-2: #56b4e9; --hue-3: #0072b2; --hue-4: #d55e00;
  --hue-5: #9aa0a6; --hue-6: #cc79a7;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171a; --card: #1d2125; --ink: #e8eaed; --faint: #87909a; --limit: #ff897d;
    --good: #5fd3a8; --hue-3: #3f7fd0; --hue-4: #f08a45;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 1rem; max-width: 80rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif;
}
h1 { font-size: 1.5rem; margin: 0 0 .5rem; }
h2 { font-size: 1.1rem; margin: 0 0 .5rem; }
.verdict { font-weight: 600; margin: 0 0 1rem; color: var(--good); }
.violated .verdict { color: var(--limit); }
dl {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: .75rem;
  margin: 0;
}
dt { font-size: .8125rem; }
dd { margin: 0; font-weight: 600; overflow-wrap: anywhere; }
code, pre { font: .8125rem/1.5 ui-monospace, "DejaVu Sans Mono", monospace; }
code, pre, td, th, p { overflow-wrap: anywhere; }
pre { white-space: pre-wrap; margin: 0; }
section, figure { background: var(--card); border-radius: .5rem; padding: 1rem; margin: 0; }
.plots {
  display: grid; gap: 1rem; margin-top: 1rem; align-items: start;
  grid-template-columns: repeat(auto-fill, minmax(min(22rem, 100%), 1fr));
}
@media (max-width: 30rem) {
  .plots { margin-inline: -1rem; }
  .plots > * { border-radius: 0; }
}
svg { display: block; width: 100%; height: auto; stroke-linejoin: round; }
svg text { font-family: inherit !important; }
figcaption { font-size: .875rem; margin-top: .5rem; }
table { border-collapse: collapse; width: 100%; font-size: .875rem; }
th { text-align: start; font-weight: 600; }
tbody th { font-weight: 400; }
td, th { padding: .25rem .5rem .25rem 0; vertical-align: top; }
tr { border-bottom: 1px solid var(--faint); }
td, thead th:nth-child(n+2) { text-align: end; font-variant-numeric: tabular-nums; }
.tables, main > section { margin-top: 1rem; }
.tables {
  display: grid; gap: 1rem; align-items: start;
  grid-template-columns: repeat(auto-fit, minmax(min(20rem, 100%), 1fr));
}
"""


def page(outcome: WorldOutcome, plan: Plan) -> str:
    """Return the page about a world, as HTML."""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>Simulated world {outcome.seed}</title>
<style>{_STYLE}</style>
</head>
<body class="{"held" if outcome.ok else "violated"}">
{_header(outcome, plan)}
<main>
{_history(outcome.violation)}
<div class="plots">
{"".join(map(_figure, plots(outcome)))}
{_measured(outcome)}
</div>
<div class="tables">
{_rare(outcome)}
{_events(outcome)}
</div>
</main>
</body>
</html>
"""


def _header(outcome: WorldOutcome, plan: Plan) -> str:
    violation = outcome.violation
    verdict = (
        "Every invariant held."
        if violation is None
        else f"{violation.invariant} was violated: {violation.what}"
    )
    facts = (
        ("Seed", str(outcome.seed)),
        ("Days", f"{outcome.days:g}"),
        ("Subscribers", f"{outcome.subscribers:,}"),
        ("Store", outcome.store),
        ("Began", f"{outcome.started:%Y-%m-%d}"),
        ("Steps", f"{outcome.steps:,}"),
        ("Steps a second", f"{figures.steps_per_second(outcome):,.0f}"),
        ("Crashes", f"{outcome.crashes:,}"),
    )
    listed = "\n".join(f"<div><dt>{escape(k)}</dt><dd>{escape(v)}</dd></div>" for k, v in facts)
    return f"""<header>
<h1>A simulated world</h1>
<p class="verdict">{escape(verdict)}</p>
<dl>
{listed}
</dl>
<p>The same happens again with <code>{escape(plan.command)}</code></p>
</header>"""


def _history(violation: Violation | None) -> str:
    if violation is None:
        return ""
    lines = "\n".join(violation.history) or "No history was recorded."
    return f"""<section>
<h2>The shortest history found that still breaks it</h2>
<p>It broke at {violation.at:%Y-%m-%d %H:%M:%S.%f}.</p>
<pre>{escape(lines)}</pre>
</section>"""


def _figure(plot: Plot) -> str:
    drawn = "" if plot.svg is None else plot.svg
    return f"""<figure id="{escape(plot.name)}">
<h2>{escape(plot.title)}</h2>
{drawn}
<figcaption>{escape(plot.says)}</figcaption>
</figure>
"""


def _measured(outcome: WorldOutcome) -> str:
    table = _table(("", "Answers", "Notices", "Exposure"), figures.times_in_words(outcome))
    return f'<section id="times">\n<h2>Times</h2>\n{table}\n</section>'


def _rare(outcome: WorldOutcome) -> str:
    met = sum(count > 0 for count in outcome.seen.values())
    rows = [
        (in_words(name), f"{count:,}" if count else "not seen")
        for name, count in outcome.seen.items()
    ]
    return f"""<section id="rare">
<h2>Rare branches: {met} of {len(outcome.seen)} seen</h2>
{_table(("Branch", "Times"), rows)}
</section>"""


def _events(outcome: WorldOutcome) -> str:
    rows = [(name, f"{count:,}") for name, count in by_count(outcome.events)]
    return f"""<section id="events">
<h2>What happened</h2>
{_table(("Event", "Times"), rows)}
</section>"""


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(each)}</th>' for each in heads)
    lines = "\n".join(map(_row, rows))
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{lines}\n</tbody>\n</table>"


def _row(cells: Iterable[str]) -> str:
    name, *rest = cells
    values = "".join(f"<td>{escape(each)}</td>" for each in rest)
    return f'<tr><th scope="row">{escape(name)}</th>{values}</tr>'

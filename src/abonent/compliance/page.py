"""The report as one HTML page that needs nothing else, and that prints.

Knows what stands where. Refuses to compute a figure, and to put anything into the page but through
`abonent.pages`. It needs the extra `report`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from abonent.compliance import tables
from abonent.compliance.plots import plots
from abonent.compliance.report import Report
from abonent.compliance.sentences import (
    DEFINITIONS,
    headline,
    moment,
    period,
    remarks,
    verdict,
)
from abonent.pages.html import document, facts, figure, table, text
from abonent.pages.tables import Table

_STYLE: Final = """
.late { color: var(--limit); }
.headline { font-size: 1.5rem; font-weight: 700; margin: .5rem 0; overflow-wrap: anywhere; }
.bad-news .headline { color: var(--limit); }
.good-news .headline { color: var(--good); }
.accused { list-style: none; margin: 0 0 1rem; padding: 0; display: grid; gap: .5rem; }
.accused li {
  border-inline-start: .4rem solid var(--limit); background: var(--card); padding: .5rem .75rem;
  border-radius: .25rem; overflow-wrap: anywhere;
}
.accused strong { color: var(--limit); font-size: 1.125rem; }
.remarks { margin: .75rem 0 0; padding-inline-start: 1.25rem; overflow-wrap: anywhere; }
.says { margin: 0 0 .5rem; font-size: .875rem; }
h2.part { font-size: 1.25rem; margin: 1.5rem 0 0; }
section h2, figure h2 { overflow-wrap: anywhere; }
.defined dt { font-weight: 600; margin-top: .5rem; font-size: .875rem; }
.defined dd { font-weight: 400; font-size: .875rem; }
.defined { display: block; }
@page { size: A4; margin: 12mm; }
@media print {
  :root {
    color-scheme: light;
    --paper: #fff; --card: #fff; --ink: #000; --faint: #777; --limit: #b3261e; --good: #0a6b4b;
    --hue-3: #0072b2; --hue-4: #d55e00;
  }
  body { max-width: none; padding: 0; font-size: 10pt; }
  section, figure { padding: 0; border-radius: 0; }
  figure, tr, li, dt { break-inside: avoid; }
  h2, .says { break-after: avoid; }
  thead { display: table-header-group; }
  .plots { grid-template-columns: 1fr 1fr; }
  table { font-size: 8.5pt; }
}
"""


def page(report: Report) -> str:
    """Return the page of a report, as HTML."""
    kind = "bad-news" if report.late else "" if report.empty else "good-news"
    body = "\n".join(_body(report))
    title = f"{report.messenger}: identification, {period(report)}"
    return document(title, body, kind=kind, style=_STYLE)


def _body(report: Report) -> Iterable[str]:
    yield _header(report)
    yield "<main>"
    if not report.empty:
        yield '<div class="plots">'
        yield "".join(figure(it.name, it.title, it.says, it.svg) for it in plots(report))
        yield "</div>"
        yield '<h2 class="part">In the period</h2>'
        for make in (
            tables.answers,
            tables.notices,
            tables.exposures,
            tables.reidentifications,
            tables.identifications,
        ):
            yield _section(make(report))
    yield f'<h2 class="part">To be done, as of {text(moment(report.as_of))}</h2>'
    yield _section(tables.calendar(report))
    if report.register is not None:
        yield _section(tables.proceedings(report.register))
    for make in (tables.unwatched, tables.feeds, tables.agreements):
        yield _section(make(report))
    cases = list(tables.cases(report))
    if cases:
        yield '<h2 class="part">Cases</h2>'
        yield from map(_section, cases)
        yield _finding()
    yield _evidence(report)
    yield _definitions()
    yield "</main>"


def _header(report: Report) -> str:
    accused = "\n".join(
        f"<li><strong>{text(operator)}</strong>: {text(says)}.</li>"
        for operator, says in verdict(report)
    )
    known = "\n".join(f"<li>{text(each)}</li>" for each in remarks(report))
    told = (
        ("Messenger", report.messenger),
        ("Period", period(report)),
        ("As of", moment(report.as_of)),
        ("Entries of the period", f"{report.entries.count:,}"),
        ("Not readable of them", f"{report.entries.unreadable:,}"),
    )
    return f"""<header>
<h1>Identification by subscriber number</h1>
{facts(told)}
<p class="headline">{text(headline(report))}</p>
<ul class="accused">
{accused}
</ul>
<h2>To be known</h2>
<ul class="remarks">
{known}
</ul>
</header>"""


def _section(told: Table) -> str:
    rows = table(told.heads, told.rows, words=told.words, stacks=True) if told.rows else ""
    return f"""<section id="{text(told.name)}">
<h2>{text(told.title)}</h2>
<p class="says">{text(told.says)}</p>
{rows}
</section>"""


def _finding() -> str:
    return """<section id="finding">
<h2>How to look into a case</h2>
<p class="says">Whoever runs the service finds the user by the journal entry:
<code>abonent.compliance.user_at(identifier, ENTRY)</code>, and what happened to them by
<code>identifier.history(user)</code>. The subject is the beginning of the id under which the
journal knows a user; of a forgotten one nothing else is left.</p>
</section>"""


def _evidence(report: Report) -> str:
    covered = report.coverage
    if covered is None:
        words = (
            "<p>No checkpoint was given, so that nothing on this page is covered by one. What is "
            "read from the journal may have been changed since.</p>"
        )
    else:
        said = "every entry" if covered.covers else f"all but {covered.uncovered:,} entries"
        published = covered.published_at
        words = facts(
            (
                ("Log", covered.origin),
                ("Entries it covers", f"{covered.size:,}"),
                ("Of the period", said),
                ("Root", covered.root),
                ("File written", "not known" if published is None else moment(published)),
            )
        )
    return f'<section id="checkpoint">\n<h2>Evidence</h2>\n{words}\n</section>'


def _definitions() -> str:
    listed = "\n".join(
        f"<dt>{text(name)}</dt><dd>{text(means)}</dd>" for name, means in DEFINITIONS.items()
    )
    return f"""<section id="definitions">
<h2>How it is counted</h2>
<dl class="defined">
{listed}
</dl>
</section>"""

"""The frame of a page: its policy, its colours, and tables of escaped text.

Knows HTML and its escaping: nothing gets into a page but through `escape`, or as an SVG made in
`drawing`. Refuses to know what is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

from abonent.pages.tables import Cell
from abonent.pages.words import printable

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
thead th { overflow-wrap: break-word; }
tbody th { font-weight: 400; }
td, th { padding: .25rem .5rem .25rem 0; vertical-align: top; }
tr { border-bottom: 1px solid var(--faint); }
td, thead th:nth-child(n+2) { text-align: end; font-variant-numeric: tabular-nums; }
td.words, thead th.words:nth-child(n+2) { text-align: start; }
.bad { color: var(--limit); font-weight: 600; }
@media (max-width: 40rem) {
  .stacks thead { display: none; }
  .stacks tr, .stacks tbody th { display: block; }
  .stacks tr { padding: .5rem 0; }
  .stacks tbody th { font-weight: 600; }
  .stacks td { display: flex; justify-content: space-between; gap: 1rem; padding-inline-end: 0; }
  .stacks td::before { content: attr(data-head); color: var(--ink); font-weight: 400; }
}
.tables, main > section { margin-top: 1rem; }
.tables {
  display: grid; gap: 1rem; align-items: start;
  grid-template-columns: repeat(auto-fit, minmax(min(20rem, 100%), 1fr));
}
"""


def text(value: str) -> str:
    """Return what may stand between tags and in quotes, whatever somebody called it."""
    return escape(printable(value))


def document(title: str, body: str, *, kind: str = "", style: str = "") -> str:
    """Return a whole page. `body` is HTML, `kind` the class of the body, `style` its own rules."""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>{text(title)}</title>
<style>{_STYLE}{style}</style>
</head>
<body class="{text(kind)}">
{body}
</body>
</html>
"""


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """Return a list of names and what they are."""
    listed = "\n".join(f"<div><dt>{text(k)}</dt><dd>{text(v)}</dd></div>" for k, v in pairs)
    return f"<dl>\n{listed}\n</dl>"


def figure(name: str, title: str, says: str, svg: str | None) -> str:
    """Return a plot with its title and what it says; without a drawing, the words alone."""
    return f"""<figure id="{text(name)}">
<h2>{text(title)}</h2>
{"" if svg is None else svg}
<figcaption>{text(says)}</figcaption>
</figure>
"""


def table(
    heads: Sequence[str],
    rows: Iterable[Iterable[str | Cell]],
    *,
    words: frozenset[str] = frozenset(),
    stacks: bool = False,
) -> str:
    """Return a table whose first cells name their rows. Columns with a head in `words` hold words.

    `stacks`: on a phone, each row becomes a list of its cells, every one with the head of its
    column.
    """
    kinds = ["words" if each in words else "" for each in heads]
    head = "".join(
        f'<th scope="col"{_class(kind)}>{text(each)}</th>'
        for each, kind in zip(heads, kinds, strict=True)
    )
    names = heads if stacks else [None] * len(heads)
    lines = "\n".join(_row(names, kinds, cells) for cells in rows)
    kind = _class("stacks" if stacks else "")
    return f"<table{kind}>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{lines}\n</tbody>\n</table>"


def _row(names: Sequence[str | None], kinds: Sequence[str], cells: Iterable[str | Cell]) -> str:
    (_, _, first), *rest = zip(names, kinds, cells, strict=True)
    values = "".join(_value(*each) for each in rest)
    words, kind = _of_cell(first, "")
    return f'<tr><th scope="row"{kind}>{words}</th>{values}</tr>'


def _value(name: str | None, kind: str, cell: str | Cell) -> str:
    words, marked = _of_cell(cell, kind)
    named = "" if name is None else f' data-head="{text(name)}"'
    return f"<td{marked}{named}>{words}</td>"


def _of_cell(cell: str | Cell, kind: str) -> tuple[str, str]:
    words, bad = (cell.words, cell.bad) if isinstance(cell, Cell) else (cell, False)
    return text(words), _class(f"{kind} bad".strip() if bad else kind)


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""

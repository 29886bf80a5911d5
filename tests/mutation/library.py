"""Mutants made by the operators of mutmut.

Knows which of its mutants are worth judging. Not mutated are: annotations, type aliases and type
variables, docstrings, imports, what stands under `if TYPE_CHECKING`, `__slots__` and `__all__`,
and prose: a string with a blank in it, or an f-string, is a message to people and not behaviour.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import libcst as cst
import libcst.matchers as m
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.mutators import mutation_operators

from tests.mutation.mutants import Mutant, file_of

_UNSEEN = (
    m.Annotation()
    | m.Import()
    | m.ImportFrom()
    | m.If(test=m.Name("TYPE_CHECKING"))
    | m.Expr(value=m.SimpleString() | m.ConcatenatedString())
    | m.AnnAssign(annotation=m.Annotation(m.Name("TypeAlias")))
    | m.Assign(value=m.Call(func=m.Name("TypeVar")))
    | m.Assign(targets=[m.AssignTarget(m.Name("__slots__") | m.Name("__all__"))])
)


def mutants_of(path: str) -> Iterator[Mutant]:
    """Return the mutants of a file below `src/abonent`, in the order of its lines."""
    wrapper = MetadataWrapper(cst.parse_module(file_of(path).read_text("utf-8")))
    visitor = _Visitor(path, wrapper)
    wrapper.module.visit(visitor)
    yield from visitor.found


class _Visitor(cst.CSTVisitor):
    """Walks a module and tries every operator on every node that is seen."""

    def __init__(self, path: str, wrapper: MetadataWrapper) -> None:
        super().__init__()
        self.path = path
        self.module = wrapper.module
        self.lines = wrapper.module.code.split("\n")
        self.positions = wrapper.resolve(PositionProvider)
        self.found: list[Mutant] = []
        self.names: list[str] = []
        self.statements: list[int] = []
        self.suites: set[cst.CSTNode] = set()
        self.bodies = 0

    def on_visit(self, node: cst.CSTNode) -> bool:
        if m.matches(node, _UNSEEN):
            return False
        if isinstance(node, cst.FunctionDef | cst.ClassDef):
            self.names.append(node.name.value)
        if isinstance(node, cst.BaseStatement):
            self.statements.append(self.positions[node].start.line)
        # Only what stands in a function's body waits for a call; decorators and defaults do not.
        if isinstance(node, cst.FunctionDef):
            self.suites.add(node.body)
        if node in self.suites:
            self.bodies += 1
        self.found += self.mutated(node)
        return True

    def on_leave(self, original_node: cst.CSTNode) -> None:
        if m.matches(original_node, _UNSEEN):
            return
        if isinstance(original_node, cst.FunctionDef | cst.ClassDef):
            self.names.pop()
        if isinstance(original_node, cst.BaseStatement):
            self.statements.pop()
        if original_node in self.suites:
            self.bodies -= 1

    def mutated(self, node: cst.CSTNode) -> Iterable[Mutant]:
        if not self.statements:
            return
        for kind, operator in mutation_operators:
            if not isinstance(node, kind):
                continue
            for other in operator(node):
                if not _only_prose_differs(node, other):
                    yield self.mutant(operator.__name__.removeprefix("operator_"), node, other)

    def mutant(self, operator: str, node: cst.CSTNode, other: cst.CSTNode) -> Mutant:
        module = self.module

        def source() -> str:
            return module.deep_replace(node, other).code

        was, now = module.code_for_node(node), module.code_for_node(other)
        span = self.positions[node]
        head = self.lines[span.start.line - 1][: span.start.column].strip()
        tail = self.lines[span.end.line - 1][span.end.column :].strip()
        return Mutant(
            path=self.path,
            line=self.statements[-1],
            where=".".join(self.names) or "<module>",
            operator=operator,
            was=_one_line(f"{head} {was.strip()} {tail}"),
            now=_one_line(f"{head} {now.strip()} {tail}"),
            at_import=self.bodies == 0,
            compiled=lambda: compile(source(), str(file_of(self.path)), "exec", dont_inherit=True),
        )


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _is_prose(node: cst.CSTNode) -> bool:
    if isinstance(node, cst.SimpleString):
        return " " in node.value
    return isinstance(node, cst.FormattedString | cst.ConcatenatedString)


def _only_prose_differs(node: cst.CSTNode, other: cst.CSTNode) -> bool:
    if isinstance(node, cst.Call) and isinstance(other, cst.Call):
        kept = {id(each.value) for each in other.args}
        gone = [each.value for each in node.args if id(each.value) not in kept]
        return bool(gone) and all(map(_is_prose, gone))
    if isinstance(node, cst.Assign | cst.AnnAssign):
        return node.value is not None and _is_prose(node.value)
    return _is_prose(node)

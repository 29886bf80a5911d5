"""Mutants that lack one guard.

A guard is a condition, and deleting it makes it hold *never* or *always*: two mutants for every
test of an `if`, `elif`, `while` or conditional expression, every filter of a comprehension and
every `if` of a `case`. One mutant, *dropped*, for every operand of `and` and `or`, every
alternative of a `match` but the last resort, every `raise`, and every `validator=` of a field.
Conditions under `if TYPE_CHECKING` are none.

Knows also how to watch: the same module with its guards left in, which says of every mutant
whether its guard was ever needed, that is, whether the condition had another value than the
mutant gives it. A mutant whose guard was never needed cannot be noticed and is not run.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from copy import deepcopy
from types import CodeType

from attrs import frozen

from tests.mutation.mutants import Mutant, file_of

WATCH = "__guard__"
"""The builtin that a watched module calls with the number of a guard and its value."""
UNWATCHED = "dropped validator"
"""Whether a validator was needed cannot be seen from outside of it."""


@frozen(eq=False)
class Guard:
    """A node of a module's tree, and what deleting it means."""

    node: ast.AST
    operator: str
    where: str
    statement: ast.stmt


def guards_of(tree: ast.Module) -> Iterator[Guard]:
    """Return the guards of a module in the order of the tree, which is the same every time."""
    yield from _guards(tree, (), None)


def _guards(node: ast.AST, names: tuple[str, ...], statement: ast.stmt | None) -> Iterator[Guard]:
    for child in ast.iter_child_nodes(node):
        inner, around = names, statement
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            inner = (*names, child.name)
        if isinstance(child, ast.stmt):
            around = child
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        if around is not None:
            where = ".".join(inner) or "<module>"
            for each, operator in _deletions(child):
                yield Guard(each, operator, where, around)
        yield from _guards(child, inner, around)


def _deletions(node: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    match node:
        case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test):
            conditions: list[ast.expr] = [test]
        case ast.comprehension(ifs=conditions):
            pass
        case ast.match_case(guard=ast.expr() as condition):
            conditions = [condition]
        case _:
            conditions = []
    for condition in conditions:
        yield condition, "never"
        yield condition, "always"
    match node:
        case ast.BoolOp(values=operands):
            for operand in operands:
                yield (
                    operand,
                    "dropped from and" if isinstance(node.op, ast.And) else ("dropped from or"),
                )
        case ast.Match(cases=cases):
            for case in cases:
                if not isinstance(case.pattern, ast.MatchAs) or case.pattern.pattern is not None:
                    yield case, "dropped case"
        case ast.Raise():
            yield node, "dropped raise"
        case ast.keyword(arg="validator"):
            yield node, UNWATCHED
        case _:
            pass


class _Deleting(ast.NodeTransformer):
    """Deletes one guard."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        if isinstance(node, ast.BoolOp) and len(node.values) == 1:
            return node.values[0]
        return node

    def visit(self, node: ast.AST) -> ast.AST | None:
        if node is not self.guard.node:
            return self.generic_visit(node)
        match self.guard.operator:
            case "never":
                return ast.copy_location(ast.Constant(value=False), node)
            case "always":
                return ast.copy_location(ast.Constant(value=True), node)
            case "dropped raise":
                return ast.copy_location(ast.Pass(), node)
            case _:
                return None


class _Watching(ast.NodeTransformer):
    """Leaves every guard in and reports what its condition is each time."""

    def __init__(self, guards: list[Guard], first: int) -> None:
        self.numbers: dict[int, list[int]] = {}
        for number, guard in enumerate(guards, first):
            self.numbers.setdefault(id(guard.node), []).append(number)

    def visit(self, node: ast.AST) -> ast.AST | list[ast.stmt]:
        numbers = self.numbers.get(id(node), [])
        self.generic_visit(node)
        told: ast.AST = node
        for number in numbers:
            if isinstance(node, ast.expr):
                told = _report(number, told)
            elif isinstance(node, ast.Raise):
                report = ast.Expr(value=_report(number, ast.Constant(value=True)))
                return [ast.copy_location(report, node), node]
            elif isinstance(node, ast.match_case):
                report = ast.Expr(value=_report(number, ast.Constant(value=True)))
                node.body.insert(0, ast.copy_location(report, node.body[0]))
        return told


def _report(number: int, value: ast.AST) -> ast.expr:
    call = ast.Call(
        func=ast.Name(id=WATCH, ctx=ast.Load()),
        args=[ast.Constant(value=number), value],
        keywords=[],
    )
    return ast.copy_location(call, value) if hasattr(value, "lineno") else call


def needed(operator: str, value: object) -> bool:
    """Tell whether a condition of this value shows that a guard is deleted in this way."""
    deleted = operator in ("always", "dropped from and")
    return not value if deleted else bool(value)


def without(tree: ast.Module, position: int) -> ast.Module:
    """Return the module without the guard at this position of `guards_of`."""
    copy = deepcopy(tree)
    _Deleting(list(guards_of(copy))[position]).visit(copy)
    return copy


def watching(tree: ast.Module, first: int) -> ast.Module:
    """Return the module with every guard reporting to `WATCH`; numbers begin at `first`."""
    copy = deepcopy(tree)
    _Watching(list(guards_of(copy)), first).visit(copy)
    return copy


def mutants_of(path: str) -> list[Mutant]:
    """Return the mutants of a file below `src/abonent`, in the order of its tree."""
    source = file_of(path).read_text("utf-8")
    tree = ast.parse(source)
    return [_mutant(path, tree, position, guard) for position, guard in enumerate(guards_of(tree))]


def _mutant(path: str, tree: ast.Module, position: int, guard: Guard) -> Mutant:
    line = getattr(guard.node, "lineno", guard.statement.lineno)
    return Mutant(
        path=path,
        line=getattr(getattr(guard.node, "pattern", None), "lineno", line),
        where=guard.where,
        operator=guard.operator,
        was=_shown(guard.node),
        now="",
        at_import=False,
        compiled=lambda: _compiled(without(tree, position), path),
    )


def _shown(node: ast.AST) -> str:
    if isinstance(node, ast.match_case):
        return f"case {ast.unparse(node.pattern)}"
    return ast.unparse(node)


def watched(path: str, first: int) -> Callable[[], CodeType]:
    """Return what compiles the file with every guard reporting."""
    return lambda: _compiled(watching(ast.parse(file_of(path).read_text("utf-8")), first), path)


def _compiled(tree: ast.Module, path: str) -> CodeType:
    return compile(ast.fix_missing_locations(tree), str(file_of(path)), "exec", dont_inherit=True)

"""What all contracts share: a guard over their tests, their fixtures, and what adapters lack.

Knows classes and tests of pytest. Refuses to know a port.

1. A contract is a class with `shared_tests=True`; whoever tests an adapter inherits from it.
2. Its tests run as they are. One that an adapter is known to fail is overridden under a strict
   xfail with a reason, and runs the shared test: it is seen in every run, and when it passes.
3. What an adapter says it cannot do is skipped, and the run says why.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from textwrap import dedent, fill, indent
from typing import Any, ClassVar, Final, TypeVar

import pytest

GUARD: Final = "test_the_contract_is_whole"
_CAPABILITIES: Final = "_adapter_has_what_the_test_needs"
_NEEDS: Final = "_abonent_needs"
# With a condition, or without running, a strict xfail would hold nobody to anything.
_XFAIL_KEYWORDS: Final = {"strict", "reason", "raises"}

_Test = TypeVar("_Test", bound=Callable[..., Any])


def needs(capability: str) -> Callable[[_Test], _Test]:
    """Mark a shared test as one for adapters whose features have this field set.

    For the others it is skipped with that reason. The contract gives the features as a fixture of
    that name.
    """

    def mark(test: _Test) -> _Test:
        setattr(test, _NEEDS, (*getattr(test, _NEEDS, ()), capability))
        return test

    return mark


def to_provide(kind: str, meaning: str, example: str) -> Any:
    """Make the fixture of a contract that an integrator must override in their class.

    Until they do, each test fails and says what to provide: a `kind`, what it is to be, and an
    example of about three lines.
    """

    @pytest.fixture
    def missing(self: Contract, request: pytest.FixtureRequest) -> None:
        name = request.fixturename
        contract = next(each for each in type(self).__mro__ if "_own_tests" in vars(each))
        text = fill(f"Provide a {kind}: {meaning}. In your class, for example:", 96)
        pytest.fail(
            f"{type(self).__name__} lacks the fixture `{name}` of {contract.__name__}.\n"
            f"{text}\n\n{indent(dedent(example).strip(), ' ' * 4)}",
            pytrace=False,
        )

    return missing


class Contract:
    """The root of all contracts. Inherit from one of them, not from this.

    Raises:
        TypeError: when a class is made that overrides the guard, or a contract that overrides a
            test of another.
    """

    _own_tests: ClassVar[Mapping[str, object]] = {}

    def __init_subclass__(cls, *, shared_tests: bool = False) -> None:
        for name in (GUARD, _CAPABILITIES):
            if inspect.getattr_static(cls, name) is not vars(Contract)[name]:
                raise TypeError(f"{cls.__name__} must not override {name}: it guards the others")
        if shared_tests:
            own = {name: test for name, test in vars(cls).items() if name.startswith("test")}
            inherited = {name for each in cls.__mro__[1:] for name, _ in _own_tests(each)}
            if again := sorted(own.keys() & inherited):
                raise TypeError(f"{cls.__name__} overrides {', '.join(again)} of another contract")
            cls._own_tests = own

    @pytest.fixture(autouse=True)
    def _adapter_has_what_the_test_needs(self, request: pytest.FixtureRequest) -> None:
        for capability in getattr(request.function, _NEEDS, ()):
            features = request.getfixturevalue("features")
            if not getattr(features, capability):
                # An adapter is judged by what it says it can do; the run lists what it left out.
                pytest.skip(f"the adapter says that it is not {capability}")

    def test_the_contract_is_whole(self, request: pytest.FixtureRequest) -> None:
        """Every shared test is there as it was shipped, or a strict xfail that says why not."""
        alive = False
        try:
            assert alive
        except AssertionError:
            alive = True
        if not alive:
            pytest.fail("asserts are not executed: load pytest's plugin `abonent`", pytrace=False)
        wrong = list(_changed(type(self)))
        if request.node.get_closest_marker("xfail"):
            wrong.append("the class as a whole was marked as expected to fail: mark single tests")
        if wrong:
            pytest.fail("\n".join(wrong), pytrace=False)


def _own_tests(of: type) -> Iterator[tuple[str, object]]:
    """The tests that a class shares as a contract; none if it is not one."""
    tests: Mapping[str, object] = vars(of).get("_own_tests", {})
    yield from tests.items()


def _changed(adapter: type[Contract]) -> Iterator[str]:
    """What an adapter's class did to the tests it inherited, a line each."""
    for contract in adapter.__mro__:
        for name, shared in _own_tests(contract):
            test: object = inspect.getattr_static(adapter, name, None)
            told = f"{name} of {contract.__name__}"
            if test is shared:
                if _marks(shared):
                    yield f"{told} was marked in place, for every adapter"
            elif not inspect.isfunction(test):
                yield f"{told} was removed"
            elif not _fails_for_a_reason(test):
                yield (
                    f"{told} was overridden. Where an adapter fails it, mark the override with "
                    "pytest.mark.xfail(strict=True, reason=...), unconditionally, and call super()"
                )


def _marks(test: object) -> list[pytest.Mark]:
    marks: list[pytest.Mark] = getattr(test, "pytestmark", [])
    return [mark for mark in marks if mark.name in {"skip", "skipif", "xfail"}]


def _fails_for_a_reason(test: object) -> bool:
    marks = _marks(test)
    if [mark.name for mark in marks] != ["xfail"] or marks[0].args:
        return False
    said = marks[0].kwargs
    reason = said.get("reason")
    return (
        said.keys() <= _XFAIL_KEYWORDS
        and said.get("strict") is True
        and isinstance(reason, str)
        and bool(reason.strip())
    )

"""The guard over contracts: no shared test is silenced unseen, and nobody is left guessing."""

from importlib import import_module
from pkgutil import iter_modules

import pytest
from _pytest.assertion.rewrite import AssertionRewritingHook

from abonent.ports import StorageFeatures
from abonent.stores import MemoryStorage
from abonent.testing import Contract, StorageContract, contracts
from abonent.testing.contracts.contract import GUARD, needs, to_provide

pytest_plugins = ["pytester"]
PLUGIN = "abonent.testing.plugin"
MODULES = {
    "abonent.testing.machine",
    *(each.name for each in iter_modules(contracts.__path__, f"{contracts.__name__}.")),
}
# What other plugins have to say of a project without settings does not matter here.
ALONE = ("-p", "no:asyncio", "-p", "no:cacheprovider")


def shared_tests(contract):
    return {name: getattr(contract, name) for name in dir(contract) if name.startswith("test_")}


class LampContract(Contract, shared_tests=True):
    """A contract as small as can be; the adapters are dictionaries."""

    lamp = to_provide(
        "dict[str, bool]",
        "what the lamp does",
        """
        @pytest.fixture
        def lamp(self):
            return {"shines": True}
        """,
    )

    @pytest.fixture
    def features(self, lamp):
        return StorageFeatures(durable=lamp.get("durable", False), shared=False)

    def test_it_shines(self, lamp):
        assert lamp["shines"]

    @needs("durable")
    def test_it_shines_for_ever(self, lamp):
        assert lamp["for ever"]


HEAD = """
import pytest
from tests.testing.test_contract import LampContract

class TestLamp(LampContract):
    @pytest.fixture
    def lamp(self):
        return {"shines": True}
"""


@pytest.fixture
def run(pytester):
    """Run a lamp's tests; what is given follows in the class, four spaces in."""

    def run(text=""):
        pytester.makepyfile(HEAD + text)
        return pytester.runpytest_inprocess("-rA", *ALONE)

    return run


def test_an_adapter_that_passes_is_passed(run):
    """Without changes the guard passes, and what the adapter lacks is skipped with the reason."""
    result = run()
    result.assert_outcomes(passed=2, skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED*the adapter says that it is not durable*"])


def test_what_an_adapter_has_is_tested(run):
    """A test that needs a capability runs where the features have it."""
    result = run("""
class TestCandle(TestLamp):
    @pytest.fixture
    def lamp(self):
        return {"shines": True, "durable": True, "for ever": False}
""")
    result.assert_outcomes(passed=4, skipped=1, failed=1)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ("    def test_it_shines(self): pass", "test_it_shines of LampContract was overridden*"),
        ("    test_it_shines = None", "test_it_shines of LampContract was removed"),
        ("    test_it_shines = 'shines'", "test_it_shines of LampContract was removed"),
        ("    test_it_shines = property(lambda self: 1)", "test_it_shines * was removed"),
        ("TestLamp.test_it_shines = None", "test_it_shines of LampContract was removed"),
        ("LampContract.test_it_shines = lambda self: None", "test_it_shines * was overridden*"),
        ("del LampContract.test_it_shines", "test_it_shines of LampContract was removed"),
        ("pytest.mark.skip(LampContract.test_it_shines)", "test_it_shines * was marked in place*"),
        ("TestLamp = pytest.mark.xfail(TestLamp)", "the class as a whole was marked*"),
        ("pytestmark = pytest.mark.xfail", "the class as a whole was marked*"),
    ],
)
def test_a_silenced_test_fails_the_guard(run, monkeypatch, change, complaint):
    """However a shared test is overridden, removed or deselected, the guard fails and names it."""
    shared = LampContract.test_it_shines
    monkeypatch.setattr(LampContract, "test_it_shines", shared)  # and back, whatever happens
    try:
        result = run(change + "\n")
    finally:
        vars(shared).pop("pytestmark", None)
    assert result.parseoutcomes()["failed"] == 1
    result.stdout.fnmatch_lines([complaint, f"FAILED *::{GUARD}*"])


@pytest.mark.parametrize(
    "mark",
    [
        "skip(reason='flaky')",
        "xfail",
        "xfail(reason='ticket 12')",
        "xfail(strict=False, reason='ticket 12')",
        "xfail(strict=True)",
        "xfail(strict=True, reason=' ')",
        "xfail(False, strict=True, reason='ticket 12')",
        "xfail(strict=True, reason='ticket 12', condition=False)",
        "xfail(strict=True, reason='ticket 12', run=False)",
    ],
)
def test_a_mark_that_holds_nobody_fails_the_guard(run, mark):
    """An override is refused unless its xfail is strict, unconditional, run and has a reason."""
    result = run(f"""
    @pytest.mark.{mark}
    def test_it_shines(self, lamp):
        raise AssertionError
""")
    result.stdout.fnmatch_lines(["test_it_shines of LampContract was overridden*"])
    result.stdout.fnmatch_lines([f"FAILED *::{GUARD}*"])


def test_a_skip_beside_an_xfail_fails_the_guard(run):
    """A strict xfail that is never run because of a second mark is refused."""
    result = run("""
    @pytest.mark.skip
    @pytest.mark.xfail(strict=True, reason="ticket 12")
    def test_it_shines(self, lamp):
        raise AssertionError
""")
    result.stdout.fnmatch_lines([f"FAILED *::{GUARD}*"])


def test_a_known_failure_may_be_said(run):
    """A strict xfail with a reason passes the guard, and is seen in every run."""
    result = run("""
    @pytest.mark.xfail(strict=True, reason="ticket 12", raises=AssertionError)
    def test_it_shines(self, lamp):
        lamp["shines"] = False
        super().test_it_shines(lamp)
""")
    result.assert_outcomes(passed=1, skipped=1, xfailed=1)
    result.stdout.fnmatch_lines(["XFAIL *::test_it_shines - ticket 12"])


def test_a_known_failure_that_passes_is_said(run):
    """When the adapter passes after all, the strict xfail fails."""
    result = run("""
    @pytest.mark.xfail(strict=True, reason="ticket 12")
    def test_it_shines(self, lamp):
        super().test_it_shines(lamp)
""")
    result.assert_outcomes(passed=1, skipped=1, failed=1)


def test_a_missing_fixture_says_what_to_provide(pytester):
    """Contract, fixture, type and an example stand in the failure of every test that needs it."""
    pytester.makepyfile("""
        from tests.testing.test_contract import LampContract

        class TestLamp(LampContract):
            pass
    """)
    result = pytester.runpytest_inprocess(*ALONE)
    result.assert_outcomes(passed=1, errors=2)
    result.stdout.fnmatch_lines(
        [
            "TestLamp lacks the fixture `lamp` of LampContract.",
            "Provide a dict[[]str, bool[]]: what the lamp does. In your class, for example:",
            "    @pytest.fixture",
            "    def lamp(self):",
            '        return {"shines": True}',
        ]
    )


def test_a_missing_store_says_what_to_provide(pytester):
    """The storage contract asks for `open_storage`, by its own name and not by that of a part."""
    pytester.makepyfile("""
        from abonent.testing import StorageContract

        class TestMine(StorageContract):
            pass
    """)
    result = pytester.runpytest_inprocess(*ALONE, "-k", "test_nothing_is_there_at_first")
    assert result.parseoutcomes()["errors"] == 1
    result.stdout.fnmatch_lines(
        [
            "TestMine lacks the fixture `open_storage` of StorageContract.",
            "Provide a Callable[[][[][]], Storage[]]: a function that opens one more handle*",
            "    def open_storage(self, tmp_path):",
        ]
    )


@pytest.mark.parametrize("name", [GUARD, "_adapter_has_what_the_test_needs"])
def test_the_guard_is_not_overridden(name):
    """A class that overrides the guard, itself or through another class, is not made."""
    with pytest.raises(TypeError, match=f"TestMine must not override {name}"):
        type("TestMine", (LampContract,), {name: lambda self: None})
    mixin = type("Mixin", (), {name: None})
    with pytest.raises(TypeError, match=f"TestMine must not override {name}"):
        type("TestMine", (mixin, LampContract), {})


def test_a_contract_does_not_override_another():
    """Calling a class a contract is no way around the guard."""
    with pytest.raises(TypeError, match="TestMine overrides test_it_shines of another contract"):
        type(LampContract)("TestMine", (LampContract,), {"test_it_shines": None}, shared_tests=True)


@pytest.mark.parametrize("name", sorted(MODULES))
def test_the_asserts_of_the_kit_bite(name):
    """Pytest rewrites all of the kit that asserts, so that -O takes nothing away."""
    assert isinstance(import_module(name).__loader__, AssertionRewritingHook)


@pytest.mark.parametrize(("plugins", "outcome"), [(("-p", PLUGIN), "passed"), ((), "failed")])
def test_asserts_that_are_dead_fail_the_guard(pytester, monkeypatch, plugins, outcome):
    """Under -O the plugin, however it is loaded, keeps the asserts; without it the guard fails."""
    monkeypatch.setenv("PYTHONOPTIMIZE", "1")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile("""
        from abonent.testing import StorageContract

        class TestMine(StorageContract):
            pass
    """)
    result = pytester.runpytest_subprocess(*plugins, "-p", "no:cacheprovider", "-k", GUARD)
    assert result.parseoutcomes()[outcome] == 1
    said = "asserts are not executed: load pytest's plugin `abonent`" in result.stdout.str()
    assert said == (outcome == "failed")


def test_every_shared_test_says_what_it_requires():
    """The docstring of each test of the storage contract is the requirement, in a sentence."""
    told = {name: test.__doc__ or "" for name, test in shared_tests(StorageContract).items()}
    assert [name for name, text in told.items() if not text.strip().endswith(".")] == []


def test_our_stores_have_no_excuse():
    """No class of our own that runs the storage contract changes anything in it."""
    from tests.stores.test_memory import TestMemoryStorage
    from tests.stores.test_sqlite import TestSqliteStorage

    for adapter in (TestMemoryStorage, TestSqliteStorage):
        assert {name for name in vars(adapter) if not name.startswith("_")} == {"open_storage"}
    assert MemoryStorage().features == StorageFeatures(durable=False, shared=False)

"""Mutants: the library with one small fault in it.

Knows what a mutant is and how it takes the place of its module in one process. Refuses to know
who judges it. No file is changed: a mutant lives and dies with the process that imports it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from pathlib import Path
from types import CodeType, ModuleType

from attrs import field, frozen

SOURCE = Path(__file__).parents[2] / "src"
PACKAGE = "abonent"


@frozen(kw_only=True)
class Mutant:
    """One small fault.

    `path` is below `src/abonent`, `where` the qualified name of the function or class. `line` is
    the first line of the statement; `at_import` says that it runs when the module is imported.
    `was` and `now` show the change, without line numbers, so that they outlive an edit elsewhere.
    """

    path: str
    line: int
    where: str
    operator: str
    was: str
    now: str
    at_import: bool
    compiled: Callable[[], CodeType] = field(repr=False, eq=False)

    @property
    def module(self) -> str:
        """The dotted name of the module that it takes the place of."""
        return module_of(self.path)

    def __str__(self) -> str:
        now = f"\n+ {self.now}" if self.now else ""
        return f"{self.path}:{self.line} {self.where}: {self.operator}\n- {self.was}{now}"


def module_of(path: str) -> str:
    """Return the dotted name of a file below `src/abonent`."""
    parts = [PACKAGE, *Path(path).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def file_of(path: str) -> Path:
    """Return the file itself."""
    return SOURCE / PACKAGE / path


def files_of(rooms: Sequence[str]) -> tuple[str, ...]:
    """Return the files of rooms (`core`) and modules (`sealing.py`), below `src/abonent`."""
    home = SOURCE / PACKAGE
    found: list[str] = []
    for room in rooms:
        at = home / room
        files = sorted(at.rglob("*.py")) if at.is_dir() else [at]
        if not files or not files[0].is_file():
            raise FileNotFoundError(f"nothing to mutate in {room}")
        found += [each.relative_to(home).as_posix() for each in files]
    return tuple(found)


class _Substitute(MetaPathFinder, Loader):
    """Answers for some modules with code that is not what their files say."""

    def __init__(self, codes: dict[str, Callable[[], CodeType]], paths: dict[str, Path]) -> None:
        self.codes = codes
        self.paths = paths

    def find_spec(
        self, fullname: str, path: object = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in self.codes:
            return None
        file = self.paths[fullname]
        spec = spec_from_loader(
            fullname, self, origin=str(file), is_package=file.name == "__init__.py"
        )
        assert spec is not None
        spec.has_location = True
        if spec.submodule_search_locations is not None:
            spec.submodule_search_locations.append(str(file.parent))
        return spec

    def exec_module(self, module: ModuleType) -> None:
        exec(self.codes[module.__name__](), module.__dict__)


def substitute(codes: dict[str, Callable[[], CodeType]]) -> None:
    """Let these files (below `src/abonent`) have this code, in this process, from now on.

    They are imported here and now: pytest's own import hook would come before this one later.
    """
    loaded = [each for each in sys.modules if each.partition(".")[0] in (PACKAGE, "tests")]
    stale = [each for each in loaded if not each.startswith("tests.mutation") and each != "tests"]
    if stale:
        raise RuntimeError(f"already imported, so no mutant would be seen: {stale[:3]}")
    by_module = {module_of(path): code for path, code in codes.items()}
    paths = {module_of(path): file_of(path) for path in codes}
    sys.meta_path.insert(0, _Substitute(by_module, paths))
    for module in by_module:
        import_module(module)

"""The gates. `nox` runs all of them; `nox -s tests` runs one; `nox -l` lists them.

Default: lint, typing, tests, docs, search, world.
By name only: camara, crash, workers, rotation, fuzz, mutation, browser, bench.
Arguments go to the command that a session runs: `nox -s world -- --seeds 10000`.
"""

from __future__ import annotations

import os
import shlex
import shutil
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "venv"
nox.options.reuse_venv = "yes"
nox.options.sessions = ["lint", "typing", "tests", "docs", "search", "world"]

ROOT = Path(__file__).parent
PROJECT = nox.project.load_toml(ROOT / "pyproject.toml")
EXTRAS = ("camara", "cli", "http", "otel", "postgres", "report", "serve", "smpp", "testing")
WORKERS = min(4, os.cpu_count() or 1)

_wheels: list[Path] = []


def group(name: str) -> tuple[str, ...]:
    """What pyproject.toml lists under a dependency group."""
    return nox.project.dependency_groups(PROJECT, name)


def requirements(*extras: str) -> list[str]:
    """What the library itself needs, with the given extras."""
    needed: list[str] = list(PROJECT["project"]["dependencies"])
    for extra in extras:
        needed += PROJECT["project"]["optional-dependencies"][extra]
    return needed


def built_wheel(session: nox.Session) -> Path:
    """Build the sdist, and the wheel from it, once for all sessions of this run."""
    if not _wheels:
        dist = session.cache_dir / "dist"
        shutil.rmtree(dist, ignore_errors=True)
        session.install("build")
        session.run("python", "-m", "build", "--outdir", str(dist), silent=True)
        _wheels.extend(dist.glob("*.whl"))
    return _wheels[0]


def install_wheel(session: nox.Session, *extras: str) -> None:
    """Install the wheel and its dependencies; a venv used again gets the new build."""
    wheel = str(built_wheel(session))
    session.install(*requirements(*extras))
    session.install("--force-reinstall", "--no-deps", wheel)


@nox.session
def lint(session: nox.Session) -> None:
    """Style, formatting, and the direction of imports."""
    session.install(*group("lint"), *requirements())
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports", "--no-cache", env={"PYTHONPATH": "src"})


@nox.session
def typing(session: nox.Session) -> None:
    """Both type checkers over the library and over what its types promise."""
    session.install(*group("typing"), *requirements(*EXTRAS))
    session.run("mypy")
    # By name, or it takes the environment that it finds in the checkout.
    session.run("basedpyright", "--pythonpath", str(Path(session.bin) / "python"))


@nox.session
def tests(session: nox.Session) -> None:
    """The installed wheel under two time zones, with -bb and with -O; then its coverage.

    With arguments, pytest gets just those: `nox -s tests -- tests/core -k budget`.
    """
    install_wheel(session, *EXTRAS)
    session.install(*group("tests"))
    if session.posargs:
        session.run("python", "-m", "pytest", *session.posargs)
        return

    session.run("coverage", "erase")
    # There is no environment variable for -bb: the workers are started with it by name.
    python = f"{shlex.quote(str(Path(session.bin) / 'python'))} -bb"
    workers = [f"--tx={WORKERS}*popen//python={python}", "--dist=worksteal"]
    measured = ("python", "-bb", "-m", "coverage", "run", "-m", "pytest")
    kiritimati = {"TZ": "Pacific/Kiritimati"}
    announced = "wheel -bb Pacific/Kiritimati"
    session.run(*measured, *workers, "tests", env={**kiritimati, "ABONENT_TESTED_AS": announced})
    session.run(*measured, "docs", "README.md", env=kiritimati)

    # PYTHONOPTIMIZE reaches the workers and every child process, which -O alone does not.
    st_johns = {"TZ": "America/St_Johns", "PYTHONOPTIMIZE": "1"}
    announced = "wheel -O America/St_Johns"
    session.run(
        *("python", "-m", "pytest", f"--numprocesses={WORKERS}", "--dist=worksteal"),
        *("-m", "not slow", "tests"),
        env={**st_johns, "ABONENT_TESTED_AS": announced},
    )

    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report", "--include=*/abonent/core/*", "--fail-under=100")
    session.run("coverage", "report", "--fail-under=97")


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation, with every warning an error."""
    install_wheel(session, *EXTRAS)
    session.install(*group("docs"))
    target = ROOT / "docs" / "_build" / "html"
    session.run("sphinx-build", "-W", "-n", "--keep-going", "-b", "html", "docs", str(target))


@nox.session
def search(session: nox.Session) -> None:
    """All orders of commands, answers, notices and ticks, over the real core."""
    install_wheel(session, "testing")
    session.run("python", "-m", "tests.search", *(session.posargs or ("--jobs", str(WORKERS))))


@nox.session
def world(session: nox.Session) -> None:
    """Simulated worlds in which everything goes wrong: 200 of them, or `-- --seeds 10000`."""
    install_wheel(session)
    session.run("python", "-m", "tests.worlds", *(session.posargs or ("--seeds", "200")))


@nox.session(default=False)
def crash(session: nox.Session) -> None:
    """Processes and servers are killed, and logs cut. `-- --kills 100` or `-- --servers 20`: less.

    Without arguments: 1,000 processes on SQLite, two logs, 100 servers, 40 times either side of a
    link.
    """
    install_wheel(session, "camara", "postgres", "serve")
    session.install(*group("tests"))
    kills = ["--kills", "1000", "--jobs", str(WORKERS)]
    shares = (kills, ["--wal"], ["--servers", "100"], ["--link", "40"])
    for each in [session.posargs] if session.posargs else shares:
        session.run("python", "-m", "tests.crash", *each)


@nox.session(default=False)
def camara(session: nox.Session) -> None:
    """The client, and a stand-in for an operator, against CAMARA's specifications: `-- FOLDER`."""
    install_wheel(session, "camara", "serve", "testing")
    session.install(*group("tests"))
    session.run("python", "-m", "tests.camara", *session.posargs)


@nox.session(default=False)
def workers(session: nox.Session) -> None:
    """Four workers share 100,000 deadlines on PostgreSQL; then one of them is killed."""
    install_wheel(session, "cli", "postgres")
    session.install(*group("tests"))
    session.run("python", "-m", "tests.workers", *session.posargs)


@nox.session(default=False)
def rotation(session: nox.Session) -> None:
    """Turn the keys of 100,000 users under 16 callers; the process that does is killed 5 times."""
    install_wheel(session)
    session.install(*group("tests"))
    session.run("python", "-m", "tests.rotation", *session.posargs)


@nox.session(default=False)
def fuzz(session: nox.Session) -> None:
    """Numbers, numbering plans and stored bytes that nobody wrote."""
    install_wheel(session, "cli", "http", "testing")
    session.install(*group("tests"), *group("fuzz"))
    session.run("python", "-m", "tests.fuzz", *(session.posargs or ("--seconds", "60")))


@nox.session(default=False)
def mutation(session: nox.Session) -> None:
    """A sample of mutants, judged by the tests; `-- --all`; `-- --guards`: by search and worlds."""
    install_wheel(session, *EXTRAS)
    session.install(*group("tests"), *group("mutation"))
    asked = session.posargs or ("--sample", "300", "--jobs", str(WORKERS))
    session.run("python", "scripts/mutation.py", *asked)


@nox.session(default=False)
def browser(session: nox.Session) -> None:
    """The pages of reports in a real Chromium, which the system has to have."""
    install_wheel(session, *EXTRAS)
    session.install(*group("tests"), *group("browser"))
    pages = [f"tests/browser/{each}_in_chromium.py" for each in ("report", "officer")]
    session.run("python", "-m", "pytest", *pages, *session.posargs)


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Ours beside floors and peers, in one run; `-- --quick` takes under three minutes."""
    install_wheel(session, *EXTRAS)
    session.install(*group("tests"), *group("bench"))
    session.run("python", "-m", "benchmarks", *session.posargs)

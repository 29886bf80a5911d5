"""A peer for deadlines: `procrastinate`, a queue of jobs in PostgreSQL.

A deadline is a job there: deferred, fetched when it is due, run, and marked as done. The job does
nothing, so that it leaves out what ours does at a deadline (the state is read, opened, changed and
sealed, and an event is journalled). One worker with its default settings, which is one job at a
time; `wait=False`, so that it ends when nothing is due. The jobs are deferred beforehand.
"""

from __future__ import annotations

import asyncio
import time

import psycopg
from procrastinate import App, PsycopgConnector
from psycopg.conninfo import make_conninfo

_PARK = """
INSERT INTO procrastinate_jobs (queue_name, task_name, args, scheduled_at)
    SELECT 'default', 'expire', '{}', now() + interval '1 year' FROM generate_series(1, %s)
"""


def jobs_per_second(conninfo: str, schema: str, jobs: int, parked: int = 0) -> float:
    """Jobs a second, in a schema that is there, with others parked in it for a year."""
    place = make_conninfo(conninfo, options=f"-c search_path={schema}")
    return asyncio.run(_run(place, jobs, parked))


async def _run(conninfo: str, jobs: int, parked: int) -> float:
    app = App(connector=PsycopgConnector(conninfo=conninfo))
    done = 0

    @app.task(name="expire", queue="default")
    async def expire() -> None:
        nonlocal done
        done += 1

    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        if parked:
            async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as filling:
                await filling.execute(_PARK, (parked,))
                await filling.execute("ANALYZE procrastinate_jobs")
        await expire.batch_defer_async(*({} for _ in range(jobs)))
        started = time.perf_counter()
        await app.run_worker_async(wait=False, install_signal_handlers=False)
        taken = time.perf_counter() - started
    if done != jobs:
        raise RuntimeError(f"{done} of {jobs} jobs were run")
    return jobs / taken

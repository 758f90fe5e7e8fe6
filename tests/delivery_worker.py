"""A worker of its own for the tests of batch delivery: writes down each batch before it acknowledges it.

    python -m delivery_worker BOOTSTRAP GROUP TOPIC FILE [--uvloop] [--fail-at OFFSET]

A line is "partition first next generation".
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from pathlib import Path
from typing import Any

import faust
import mode

from monitor.delivery import BatchApp, batches


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("bootstrap", "group", "topic", "file"):
        parser.add_argument(name)
    parser.add_argument("--session-s", type=float, default=6.0)
    parser.add_argument("--uvloop", action="store_true")
    parser.add_argument("--fail-at", type=int, default=-1, help="the agent fails at the batch with this offset")
    asked = parser.parse_args()
    if asked.uvloop:
        import uvloop

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    app = BatchApp(
        asked.group,
        broker=f"kafka://{asked.bootstrap}",
        broker_session_timeout=asked.session_s,
        broker_heartbeat_interval=asked.session_s / 3,
        broker_commit_interval=0.1,
        broker_max_poll_records=50,
        consumer_auto_offset_reset="earliest",
        store="memory://",
        datadir=tempfile.gettempdir(),
        topic_disable_leader=True,
        topic_allow_declare=False,
        web_enabled=False,
        agent_supervisor=mode.CrashingSupervisor,
    )

    @app.agent(app.batch_topic(asked.topic))
    async def intake(stream: Any) -> None:
        with Path(asked.file).open("a", buffering=1) as out:  # noqa: ASYNC230 (nothing else waits for the loop)
            async for batch in batches(stream):
                first = batch.records[0].offset
                if first <= asked.fail_at < batch.next_offset:
                    raise RuntimeError("as asked")
                out.write(f"{batch.tp.partition} {first} {batch.next_offset} {batch.generation}\n")
                await asyncio.sleep(0)
                batch.ack()

    worker = faust.Worker(app, loglevel="WARN", redirect_stdouts=False, quiet=True)
    worker.spinner = None
    worker.execute_from_commandline()


if __name__ == "__main__":
    main()

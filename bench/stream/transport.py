"""stream-transport: records a second handed to user code: aiokafka, batch delivery, stock Faust and Quix Streams.

All read the same topic of the same broker, one after another in processes of their own, and do nothing but count and
commit; the best of some rounds counts. Quix Streams needs newer packages than Vedette has, so it gets an environment
of its own, .venv-peers/quix, from constraints/quix.txt, made the first time.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

from aiokafka import AIOKafkaProducer
from rich.console import Console
from rich.progress import track

from bench.results import Table
from bench.stream.brokers import brokers
from bench.stream.goals import Run
from monitor.kafka_admin import ensure_topics
from monitor.settings import Kafka, Topic

ID = "stream-transport"
GOALS = {"getmany": 0.7, "quix": 2.5}
PARTITIONS = 4
RECORD_BYTES = 300
RECORDS = 400_000
#: Stock Faust would take half a minute for all of them.
STOCK_RECORDS = 30_000
RUN_TIMEOUT_S = 300
_PER_SEND = 5000

ROOT = Path(__file__).parent.parent.parent
QUIX = ROOT / ".venv-peers" / "quix"
PINS = ROOT / "constraints" / "quix.txt"


def quix_python() -> Path:
    """The Python of an environment with the pinned Quix Streams; made again when the pins change."""
    python, stamp = QUIX / "bin" / "python", QUIX / "pins.txt"
    pins = PINS.read_text(encoding="utf-8")
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != pins:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(QUIX)], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*install, "--constraint", str(PINS), "quixstreams"], check=True)
        stamp.write_text(pins, encoding="utf-8")
    return python


async def fill(bootstrap: str, topic: str, count: int) -> None:
    """JSON records of 300 bytes, spread over the partitions."""
    empty = json.dumps({"client": "", "n": 0, "features": ""})
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, linger_ms=5, max_batch_size=1 << 16)
    await producer.start()
    for first in range(0, count, _PER_SEND):
        value = json.dumps({"client": "c", "n": 1, "features": "0" * (RECORD_BYTES - 1 - len(empty))}).encode()
        assert len(value) == RECORD_BYTES
        sent = [await producer.send(topic, value, partition=i % PARTITIONS) for i in range(first, first + _PER_SEND)]
        await asyncio.gather(*sent)
    await producer.stop()


def rate(command: list[str], bootstrap: str, topic: str, count: int) -> float:
    """Records a second of one run."""
    done = subprocess.run(
        [*command, bootstrap, topic, str(count)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        timeout=RUN_TIMEOUT_S,
        check=True,
    )
    report = json.loads(done.stdout.splitlines()[-1])
    return float(report["records"] / report["seconds"])


def measure(run: Run) -> None:
    records, rounds = run.size(RECORDS, RECORDS // 10), run.size(3, 1)
    ours = [sys.executable, "-m", "bench.peers.consume"]
    ways = {
        "getmany": ([*ours, "getmany"], records),
        "batch": ([*ours, "batch"], records),
        "stock": ([*ours, "stock"], run.size(STOCK_RECORDS, STOCK_RECORDS // 3)),
        "quix": ([str(quix_python()), str(ROOT / "bench" / "peers" / "quix_consume.py")], records),
    }
    table = Table(
        ID,
        f"Records a second of {RECORD_BYTES} bytes from {PARTITIONS} partitions, one process each",
        ("broker", "aiokafka getmany", "batch delivery", "stock Faust", "Quix Streams", "batch/getmany", "batch/Quix"),
        notes=f"{records:,} records, the best of the rounds, which take turns. Goals: at least {GOALS['getmany']} of "
        f"getmany, at least {GOALS['quix']} times Quix Streams.",
    )
    for name, bootstrap in brokers():
        topic = "transport"
        ensure_topics(Kafka(brokers=(bootstrap,)), [Topic(name=topic, partitions=PARTITIONS)])
        asyncio.run(fill(bootstrap, topic, records))
        best = dict.fromkeys(ways, 0.0)
        runs = [way for _ in range(rounds) for way in ways]
        for way in track(runs, f"measuring on {name}", console=Console(stderr=True)):
            command, count = ways[way]
            best[way] = max(best[way], rate(command, bootstrap, topic, count))
        ratios = {peer: best["batch"] / best[peer] for peer in GOALS}
        table.row(name, *(f"{best[way]:,.0f}" for way in ways), *(f"{ratios[peer]:.2f}" for peer in GOALS))
        for peer, goal in GOALS.items():
            run.at_least(f"{ID}, {name}, batch / {peer}", ratios[peer], goal)
    run.publish(table)

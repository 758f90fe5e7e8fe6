"""A worker process on a real broker, for stream tests: configuration, traffic in, findings and actions out."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from brokers import BrokerHandle, free_port, topic_name
from kafka import KafkaConsumer, TopicPartition

from detectors.finding import Finding
from monitor.config import load
from monitor.kafka_admin import ensure_topics, partition_counts
from monitor.settings import Settings
from monitor.store import Store
from replay.demo.worker import WorkerProcess
from replay.player import play_to_kafka
from replay.schedule import Record
from responders.ledger import Ledger


@dataclass
class World:
    """One topic, one data folder, one worker at a time."""

    broker: BrokerHandle
    folder: Path
    baseline: Path
    partitions: int = 4
    overrides: dict[str, Any] = field(default_factory=dict)
    bands: int | None = None

    def __post_init__(self) -> None:
        self.web_port = free_port()
        self.config = self.folder / "vedette.yaml"
        self.data = self.folder / "data"
        self.data.mkdir(parents=True)
        names = {
            kind: topic_name(kind) for kind in ("events", "dead", "findings", "state", "windows", "bands", "by-client")
        }
        config: dict[str, Any] = {
            "data_dir": str(self.data),
            "alerts_file": str(self.folder / "alerts.jsonl"),
            "kafka": {"brokers": [self.broker.bootstrap], "group": topic_name("group")},
            "topics": {
                "events": {"name": names["events"], "partitions": self.partitions},
                "dead_letters": {"name": names["dead"]},
                "findings": {"name": names["findings"]},
                "state": {"name": names["state"]},
                "windows": {"name": names["windows"]},
                "bands": {"name": names["bands"], "partitions": self.bands},
                "by_client": {"name": names["by-client"]},
            },
            "detection": {"baseline": str(self.baseline)},
            "response": {"mode": "enforce"},
            "web": {"port": self.web_port},
            **self.overrides,
            # Findings are to be the same however slow the machine is.
            "stream": {"overload": {"max_level": 0}, **self.overrides.get("stream", {})},
        }
        self.config.write_text(yaml.safe_dump(config))
        self.settings: Settings = load(self.config)
        topics = self.settings.topics
        ensure_topics(self.settings.kafka, [topics.events, topics.dead_letters, topics.findings])
        self._last_ts = 0.0

    def worker(self, number: int = 0) -> WorkerProcess:
        """A worker of the group; those with another number share the data folder and have a web port of their own."""
        if number == 0:
            return WorkerProcess(self.config, self.web_port, self.folder / "worker.log")
        port = free_port()
        own = self.folder / f"vedette-{number}.yaml"
        own.write_text(yaml.safe_dump(yaml.safe_load(self.config.read_text()) | {"web": {"port": port}}))
        return WorkerProcess(own, port, self.folder / f"worker-{number}.log")

    def play(self, records: Iterable[Record], speed: float | None = None) -> int:
        """Send, with ticks to the end; how many records."""
        windows = self.settings.windows
        played = play_to_kafka(
            records,
            self.settings.kafka,
            self.settings.topics.events.name,
            close_after_s=windows.size_s + windows.grace_s + 1.0,
            speed=speed,
        )
        self._last_ts = max(self._last_ts, played.last_ts or 0.0)
        return played.total

    def until_closed(self, worker: WorkerProcess, timeout_s: float = 60.0) -> None:
        """Until the models' windows are closed as far as events have been played, and findings are told."""
        worker.until_closed(self.windows_end_ts, timeout_s)

    @property
    def windows_end_ts(self) -> float:
        """Where the last window ends that holds an event played so far."""
        size_s = self.settings.windows.size_s
        return (self._last_ts // size_s + 1) * size_s

    def until_shared(self, group: Sequence[WorkerProcess], timeout_s: float = 60.0) -> list[list[int]]:
        """Until every partition is owned once and loaded; who owns which."""
        end = time.monotonic() + timeout_s
        while True:
            reports = [worker.readiness() or {} for worker in group]
            shares: list[list[int]] = [report.get("partitions", []) for report in reports]
            owned = sorted(p for share in shares for p in share)
            if owned == list(range(self.partitions)) and all(report.get("ready") for report in reports):
                return shares
            assert time.monotonic() < end, f"partitions are owned like this: {shares}"
            time.sleep(0.05)

    def findings(self) -> list[Finding]:
        store = Store(self.data / "vedette.db")
        try:
            return store.findings()
        finally:
            store.close()

    def times_applied(self) -> dict[str, int]:
        """Action id → how often the ledger says that it went into force."""
        ledger = Ledger(self.data / "vedette.db")
        try:
            ids = [r.decision.id for r in ledger.find(limit=100_000)]
            return {i: sum(e.to_status.value == "applied" for e in ledger.log(i)) for i in ids}
        finally:
            ledger.close()

    def topic_records(self, topic: str, enough: int, timeout_s: float = 30.0) -> list[Any]:
        """What the topic holds, from its start, until there are ``enough`` records or time is up."""
        partitions = [TopicPartition(topic, p) for p in range(partition_counts(self.settings.kafka, [topic])[topic])]
        consumer = KafkaConsumer(
            bootstrap_servers=self.broker.bootstrap,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            consumer_timeout_ms=int(timeout_s * 1000),
            max_partition_fetch_bytes=32 * 1024 * 1024,
        )
        consumer.assign(partitions)
        found = []
        for record in consumer:
            found.append(record)
            if len(found) >= enough:
                break
        consumer.close()
        return found


def sorted_findings(findings: Sequence[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda f: (f.ts, f.id))

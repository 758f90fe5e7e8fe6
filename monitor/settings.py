"""The configuration as frozen structs: every field with its default, unit and meaning. See docs/configuration.md."""

from __future__ import annotations

from typing import Literal

import msgspec

from detectors.finding import Attack, Severity
from responders.decision import ActionType


class _Base(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Unknown fields are errors: a misspelt setting must not be silently ignored."""


class Kafka(_Base, frozen=True):
    """Where events come from and go to. Secrets: ``sasl_password_env`` or ``sasl_password_file`` name where to read."""

    brokers: tuple[str, ...] = ("localhost:9092",)
    group: str = "vedette"
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    sasl_username: str = ""
    sasl_password_env: str = ""
    sasl_password_file: str = ""
    ssl_cafile: str = ""
    ssl_certfile: str = ""
    ssl_keyfile: str = ""
    session_timeout_s: float = 6.0


class Topic(_Base, frozen=True):
    name: str
    partitions: int = 4
    replication: int = 1


class InternalTopic(_Base, frozen=True):
    """A topic that only workers read and write; ``partitions: null`` takes as many as the events topic really has."""

    name: str
    partitions: int | None = None
    replication: int = 1


class Topics(_Base, frozen=True):
    """Created on start if absent; an existing topic is used as it is."""

    events: Topic = Topic("inference-events")
    dead_letters: Topic = Topic("vedette-dead-letters", partitions=1)
    findings: Topic = Topic("vedette-findings", partitions=1)
    #: Workers' state, one partition for each partition that is judged; compacted.
    state: InternalTopic = InternalTopic("vedette-state")
    #: Partitions' shares of model windows, on their way to the worker that adds them up.
    windows: InternalTopic = InternalTopic("vedette-windows", partitions=1)
    #: Fingerprints of rows keyed by where they lie, on their way to be compared across clients.
    bands: InternalTopic = InternalTopic("vedette-bands")
    #: Events keyed by client again, with ``stream.rekey``.
    by_client: InternalTopic = InternalTopic("vedette-by-client")
    create: bool = True


class Overload(_Base, frozen=True):
    """When a worker that falls behind looks less closely. Seconds behind: events waiting / events handled a second."""

    #: From here on level 1, 2, 3; each costs less and sees less.
    behind_s: float = 10.0
    far_behind_s: float = 60.0
    lost_s: float = 300.0
    #: A level is kept for so long at least before it is changed.
    dwell_s: float = 5.0
    #: The highest level that may be taken; 0: never look less closely, however far behind.
    max_level: Literal[0, 1, 2, 3] = 3


class Stream(_Base, frozen=True):
    #: Records judged together at most.
    batch_events: int = 4000
    batch_within_s: float = 0.1
    max_event_bytes: int = 8 * 1024 * 1024
    #: Live only: an event further ahead of the wall clock than this is rejected. None for replays of recordings.
    max_future_s: float | None = 300.0
    #: A partition silent this long (wall clock) no longer holds the watermark back.
    idle_s: float = 30.0
    #: State and offsets are written down together this often.
    checkpoint_s: float = 1.0
    #: Records are not keyed by client: workers pass them on through ``topics.by_client`` first.
    rekey: bool = False
    #: ``batch`` hands a partition's records on as one message; ``stock`` is Faust's own loop, slower.
    delivery: Literal["batch", "stock"] = "batch"
    #: ``changelog``: in ``topics.state``, any worker can take over; ``local``: in ``data_dir``, one worker only.
    state: Literal["changelog", "local"] = "changelog"
    overload: Overload = Overload()


class Windows(_Base, frozen=True):
    size_s: float = 60.0
    grace_s: float = 30.0
    #: Rows a bottom-k sample keeps per window, for detectors that need rows.
    sample_rows: int = 500


class Clients(_Base, frozen=True):
    """Per-client state: forgotten after ``ttl_s`` of event time without a request."""

    ttl_s: float = 3600.0
    dedupe_s: float = 600.0
    max_clients: int = 1_000_000
    #: Memory for the state of one model's clients in one partition, MiB; clients away longest are forgotten first.
    max_state_mb: float = 2048.0


class FalseAlarms(_Base, frozen=True):
    """The budget: expected falsely flagged clients, per client and day; false windows per model and day."""

    clients_per_day: float = 0.01
    windows_per_day: float = 0.05


class AlibiDetector(_Base, frozen=True):
    """An alibi-detect detector on windows: saved to disk (``path``) or by class ``name`` with ``options``."""

    model: str
    path: str = ""
    name: str = ""
    options: dict[str, float | int | str | bool] = {}
    min_rows: int = 50


class Groups(_Base, frozen=True):
    """Evidence across accounts: how much of a model's traffic is compared."""

    #: Rows are compared with those of this long before them, seconds of event time.
    memory_s: float = 3600.0
    #: Rows of one model that a partition of ``topics.bands`` remembers; the oldest windows are forgotten first.
    max_rows: int = 1_000_000


class Detection(_Base, frozen=True):
    baseline: str = ""
    false_alarms: FalseAlarms = FalseAlarms()
    #: Names of detectors to leave out.
    disabled: tuple[str, ...] = ()
    alibi: tuple[AlibiDetector, ...] = ()
    #: Variable or file with a secret for ``vedette calibrate``: fingerprints and projections depend on it, so that
    #: nobody can work out which queries look alike to a detector. The baseline holds what follows from it.
    salt_env: str = ""
    salt_file: str = ""
    groups: Groups = Groups()


class PolicyAction(_Base, frozen=True):
    type: ActionType
    ttl_s: float | None = 3600.0
    #: throttle: requests per second allowed.
    rate_per_s: float = 1.0


class PolicyRule(_Base, frozen=True):
    """First matching rule wins. ``attack: null`` matches every attack."""

    actions: tuple[PolicyAction, ...]
    attack: Attack | None = None
    min_severity: Severity = Severity.LOW
    model: str = "*"


class Caps(_Base, frozen=True):
    """Blast radius: what a mistake can do at most."""

    max_active_blocks: int = 100
    #: The same as a share of the clients seen (never below 10 of them): when everybody looks odd, nobody attacks.
    max_client_share: float = 0.25
    max_actions_per_hour: int = 60
    max_ttl_s: float = 86400.0
    #: An address seen with more clients than this (a NAT, a proxy) is not blocked.
    max_clients_per_ip: int = 2


class Allowlist(_Base, frozen=True):
    clients: tuple[str, ...] = ()
    networks: tuple[str, ...] = ("127.0.0.0/8", "::1/128")


class Response(_Base, frozen=True):
    mode: Literal["dry-run", "enforce"] = "dry-run"
    policy: tuple[PolicyRule, ...] = (
        PolicyRule(
            attack=Attack.SHIFT,
            min_severity=Severity.HIGH,
            actions=(PolicyAction(ActionType.ROLLBACK, ttl_s=None), PolicyAction(ActionType.NOTIFY, ttl_s=None)),
        ),
        PolicyRule(attack=Attack.SHIFT, actions=(PolicyAction(ActionType.NOTIFY, ttl_s=None),)),
        PolicyRule(
            min_severity=Severity.HIGH,
            actions=(
                PolicyAction(ActionType.QUARANTINE, ttl_s=3600.0),
                PolicyAction(ActionType.BLOCK_IP, ttl_s=900.0),
                PolicyAction(ActionType.NOTIFY, ttl_s=None),
            ),
        ),
        PolicyRule(
            min_severity=Severity.MEDIUM,
            actions=(PolicyAction(ActionType.THROTTLE, ttl_s=900.0), PolicyAction(ActionType.NOTIFY, ttl_s=None)),
        ),
        PolicyRule(actions=(PolicyAction(ActionType.NOTIFY, ttl_s=None),)),
    )
    caps: Caps = Caps()
    allowlist: Allowlist = Allowlist()
    #: An incident without new evidence for this long (event time) is resolved.
    resolve_after_s: float = 1800.0
    #: Relative paths are below ``data_dir``.
    blocklist_file: str = "blocklist.txt"
    throttle_file: str = "throttle.json"
    quarantine_dir: str = "quarantine"
    #: Model registry: ``DIR/MODEL/current`` is a symlink to a version directory. Empty: no rollback.
    registry_dir: str = ""


class Slack(_Base, frozen=True):
    """Bot token (message updated in place, details in its thread) or incoming webhook; both secrets by reference."""

    channel: str = ""
    token_env: str = ""
    token_file: str = ""
    webhook_env: str = ""
    webhook_file: str = ""
    #: Another API address, for a proxy or a test; loopback or https only.
    base_url: str = "https://slack.com/api/"


class Email(_Base, frozen=True):
    host: str = ""
    port: int = 587
    sender: str = ""
    recipients: tuple[str, ...] = ()
    username: str = ""
    password_env: str = ""
    password_file: str = ""
    #: STARTTLS is required; "none" is accepted for loopback hosts only.
    security: Literal["starttls", "tls", "none"] = "starttls"
    #: Certificates to trust instead of the system's.
    ca_file: str = ""
    timeout_s: float = 10.0


class Notifications(_Base, frozen=True):
    min_severity: Severity = Severity.LOW
    group_wait_s: float = 2.0
    group_interval_s: float = 30.0
    slack: Slack = Slack()
    email: Email = Email()


class Retention(_Base, frozen=True):
    """How long published findings are kept in ``vedette.db``, in days of event time."""

    days: float = 90.0


class Web(_Base, frozen=True):
    host: str = "127.0.0.1"
    port: int = 6066


class Logging(_Base, frozen=True):
    format: Literal["console", "json"] = "console"
    level: Literal["debug", "info", "warning", "error"] = "info"


class Settings(_Base, frozen=True):
    """The whole of ``vedette.yaml``."""

    data_dir: str = "vedette-data"
    kafka: Kafka = Kafka()
    topics: Topics = Topics()
    stream: Stream = Stream()
    windows: Windows = Windows()
    clients: Clients = Clients()
    detection: Detection = Detection()
    response: Response = Response()
    notifications: Notifications = Notifications()
    retention: Retention = Retention()
    web: Web = Web()
    logging: Logging = Logging()
    #: Extra lines appended to the alerts file as findings are made; empty: none.
    alerts_file: str = ""

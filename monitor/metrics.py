"""The closed list of metrics: name, type, meaning. Nothing else may be exported."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest


class Metrics:
    """One registry a worker, so that tests and several workers in a process do not meet."""

    def __init__(self) -> None:
        r = self.registry = CollectorRegistry()
        self.events = Counter(
            "vedette_events", "Events by verdict, and records that were no events", ["verdict"], registry=r
        )
        self.rejected = Counter(
            "vedette_rejected_records", "Records sent to the dead-letter topic", ["reason"], registry=r
        )
        self.findings = Counter("vedette_findings", "Findings made", ["detector", "severity"], registry=r)
        self.late_rows = Gauge("vedette_late_rows", "Rows older than an already closed window", registry=r)
        self.watermark = Gauge("vedette_watermark_seconds", "Newest event time by partition", ["partition"], registry=r)
        self.step = Histogram(
            "vedette_step_seconds",
            "Wall time from records taken to checkpoint written, per batch",
            buckets=(0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
            registry=r,
        )
        self.checkpoint = Histogram(
            "vedette_checkpoint_seconds",
            "Wall time of one checkpoint transaction",
            buckets=(0.001, 0.005, 0.02, 0.05, 0.1, 0.5, 1),
            registry=r,
        )
        self.actions = Gauge("vedette_actions", "Actions in the ledger by status", ["status"], registry=r)
        self.response_failures = Counter(
            "vedette_response_failures", "Rounds of the responder that failed and are tried again", registry=r
        )
        self.outbox = Gauge("vedette_outbox_waiting", "Messages not delivered yet", registry=r)
        self.last_event = Gauge(
            "vedette_last_event_timestamp_seconds", "Wall time of the last record taken", registry=r
        )

    def render(self) -> bytes:
        """The Prometheus text exposition."""
        return generate_latest(self.registry)

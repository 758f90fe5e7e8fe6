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
        self.late_rows = Gauge(
            "vedette_late_rows", "Rows older than an already closed window, by partition", ["partition"], registry=r
        )
        self.watermark = Gauge("vedette_watermark_seconds", "Newest event time by partition", ["partition"], registry=r)
        self.step = Histogram(
            "vedette_step_seconds",
            "Wall time from records decoded to records judged, per batch",
            buckets=(0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
            registry=r,
        )
        self.checkpoint = Histogram(
            "vedette_checkpoint_seconds",
            "Wall time of one partition's checkpoint",
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

        self.lag_records = Gauge(
            "vedette_lag_records", "Records of the partition that wait to be judged", ["partition"], registry=r
        )
        self.lag_seconds = Gauge(
            "vedette_lag_seconds",
            "Age of the newest judged record (its Kafka timestamp), over all partitions",
            registry=r,
        )
        self.overload_level = Gauge(
            "vedette_overload_level", "0: everything is looked at; 1 to 3: less, to catch up", registry=r
        )
        self.sampled_rows = Counter(
            "vedette_sampled_rows", "Rows left out to catch up, by what did not see them", ["by"], registry=r
        )
        self.checkpoint_bytes = Histogram(
            "vedette_checkpoint_bytes",
            "State written by one checkpoint",
            buckets=(1e3, 1e4, 1e5, 1e6, 1e7, 1e8),
            registry=r,
        )
        self.recovery = Gauge(
            "vedette_recovery_seconds", "Wall time that reading the state of new partitions took, last time", registry=r
        )
        self.rebalances = Counter("vedette_rebalances", "Times that partitions changed hands", registry=r)

    def render(self) -> bytes:
        """The Prometheus text exposition."""
        return generate_latest(self.registry)

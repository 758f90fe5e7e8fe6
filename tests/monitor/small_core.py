"""A small real core, and traffic of every kind for it: what the tests of the pipeline, engine and runtime share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from detectors.band_entries import Entries, PackedEntries, encode
from detectors.band_spread import PICTURE_ROW
from detectors.baseline import Baseline
from detectors.batch import EventBatch
from detectors.calibration import calibrate
from detectors.finding import Finding
from detectors.panel import Panel
from monitor.band_rows import compared
from monitor.core import Core
from monitor.engine import Change, Engine, bands_scope, partition_scope
from monitor.event import Event
from monitor.incidents import Incident
from monitor.settings import (
    Allowlist,
    Caps,
    Clients,
    Detection,
    FalseAlarms,
    PolicyAction,
    PolicyRule,
    Response,
    Settings,
    Windows,
)
from monitor.step import StepResult
from replay.clean_traffic import clean_batches
from replay.demo.workspace import shipped
from replay.sender import partition_of
from responders.decision import ActionType, Decision

DEDUPE_S = 30.0
WINDOWS = Windows(size_s=10.0, grace_s=3.0)
#: The same baseline under two names, one of them with the character that separates parts of state keys.
MODELS = ("digits", "a/digits")
CLIENTS = ("client:alice", "client:a/b", "client:population", "ip:198.51.100.7", "client:anonymous", "client:x:y\u00e9")


@cache
def clean() -> EventBatch:
    digits = clean_batches([shipped("clean.jsonl.zst")]).batches["digits"]
    return digits.take(np.arange(1500))


@cache
def baseline() -> Baseline:
    found = calibrate({"digits": clean()}, window_s=WINDOWS.size_s)[0]
    return Baseline(dict.fromkeys(MODELS, found.models["digits"]), found.sources, found.made_by)


@cache
def core(
    mode: str = "enforce",
    quarantine_s: float = 3600.0,
    allowed: tuple[str, ...] = (),
    ttl_s: float = 3600.0,
    disabled: tuple[str, ...] = (),
) -> Core:
    """Eager to find: a few near copies are enough, and every finding quarantines."""
    actions = (
        PolicyAction(ActionType.QUARANTINE, ttl_s=quarantine_s),
        PolicyAction(ActionType.BLOCK_IP, ttl_s=900.0),
        PolicyAction(ActionType.NOTIFY, ttl_s=None),
    )
    settings = Settings(
        detection=Detection(false_alarms=FalseAlarms(clients_per_day=50.0), disabled=disabled),
        response=Response(
            mode=mode,  # type: ignore[arg-type]  # one of two literals, from a parametrised test
            policy=(PolicyRule(actions),),
            allowlist=Allowlist(clients=allowed),
            resolve_after_s=60.0,
            caps=Caps(max_active_blocks=1000, max_actions_per_hour=1000),
        ),
        windows=WINDOWS,
        clients=Clients(ttl_s=ttl_s, dedupe_s=DEDUPE_S),
    )
    return Core(settings, baseline())


def event(n: int, ts: float, client: str, x: npt.NDArray[np.float32], **more: Any) -> Event:
    """A request of an account, or of an address alone, with rows ``x (rows, 64)``."""
    scope, _, value = client.partition(":")
    who = {"client_id": "" if value == "anonymous" else value, "client_ip": f"203.0.113.{len(value) % 200}"}
    if scope == "ip":
        who = {"client_id": "", "client_ip": value}
    elif value == "anonymous":
        who["client_ip"] = ""
    scores = np.full((len(x), clean().scores.shape[1]), 0.01, dtype=np.float32)  # type: ignore[union-attr]  # it has
    scores[:, n % scores.shape[1]] = 0.91
    fields: dict[str, Any] = {"model": "digits", "shape": clean().shape, "scores": scores, **who, **more}
    return Event(id=fields.pop("id", f"r-{n}"), ts=ts, x=x, **fields)


def traffic(seed: int, n: int = 120, clients: Sequence[str] = CLIENTS, disorder_s: float = 1.0) -> list[Event]:
    """Honest requests, near copies that get their clients found, redeliveries, and everything odd that is valid."""
    rng = np.random.default_rng(seed)
    images = {client: clean().x[rng.integers(len(clean()))] for client in clients}
    attackers = set(rng.choice(list(clients), size=len(clients) // 2, replace=False).tolist())
    events: list[Event] = []
    ts = 1_763_700_000.0
    for i in range(n):
        ts += float(rng.choice([0.01, 0.2, 1.0, 8.0], p=[0.4, 0.4, 0.17, 0.03]))
        client = str(rng.choice(clients))
        rows = int(rng.choice([1, 3], p=[0.85, 0.15]))
        if client in attackers:
            x = images[client] + rng.normal(0, 0.004, (rows, 64)).astype(np.float32)
        else:
            x = clean().x[rng.integers(len(clean()), size=rows)]
        more: dict[str, Any] = {"model": str(rng.choice(MODELS, p=[0.8, 0.2])), "version": str(rng.integers(2))}
        match int(rng.integers(40)):
            case 0 | 1:
                more["scores"] = None
            case 2:
                more["scores"] = np.full((rows, 3), 1 / 3, dtype=np.float32)
            case 3:
                more["model"] = "unheard-of"
            case 4:
                x, more["shape"] = x[:, :16], (4, 4)
            case 5 | 6 if events:
                events.append(events[int(rng.integers(len(events)))])
                continue
            case 7:
                x = np.where(rng.random(x.shape) < 0.1, np.nan, x)
            case 8 if events:
                more["id"] = events[0].id  # comes again after the dedupe horizon, or before
        events.append(event(i, ts - disorder_s * float(rng.random()), client, x.astype(np.float32), **more))
    return events


@dataclass
class Seen:
    """Everything a run of an engine said and left behind, in a form that can be compared."""

    findings: list[Finding] = field(default_factory=list)
    incidents: dict[str, Incident] = field(default_factory=dict)
    decisions: list[Decision] = field(default_factory=list)
    verdicts: Counter[str] = field(default_factory=Counter)
    diverted: list[tuple[str, str, float]] = field(default_factory=list)
    state: dict[tuple[str, str], bytes] = field(default_factory=dict)

    def take(self, result: StepResult) -> None:
        self.findings = sorted([*self.findings, *result.findings], key=lambda f: (f.ts, f.id))
        self.incidents |= result.incidents
        self.decisions = sorted([*self.decisions, *result.decisions], key=lambda d: d.id)
        self.verdicts.update({verdict.value: n for verdict, n in result.verdicts.items() if n})
        self.diverted = sorted([*self.diverted, *((client, e.id, e.ts) for client, e in result.diverted)])

    def write(self, changes: Sequence[Change]) -> None:
        for scope, key, blob in changes:
            if blob is None:
                self.state.pop((scope, key), None)
            else:
                self.state[scope, key] = blob

    def scope(self, scope: str) -> dict[str, bytes]:
        return {key: blob for (where, key), blob in self.state.items() if where == scope}

    def said(self) -> tuple[object, ...]:
        return self.findings, self.incidents, self.decisions, self.verdicts, self.diverted

    def left(self) -> tuple[object, ...]:
        """The state, but for how it was cut into steps.

        That is in the chunks of the redelivery memory, of panels and of rows to be compared, and in the watermark at
        which windows were last closed.
        """
        pieces = ("dedupe/", "panel/", "band/")
        apart = {k for k in self.state if k[1].startswith(pieces) or k[1] in ("meta", "merger")}
        rest = {k: v for k, v in self.state.items() if k not in apart}
        counts = {k: msgspec.msgpack.decode(v) for k, v in self.state.items() if k[1] == "meta"}
        ids = _ids({k: v for k, v in self.state.items() if k[1].startswith("dedupe/")})
        watermark = max((meta["watermark"] for meta in counts.values()), default=0.0)  # of ticks, too
        known = {key: ts for key, ts in ids.items() if ts >= watermark - DEDUPE_S}
        return known, self.remembered(), self.collected(), counts, rest

    def collected(self) -> dict[tuple[str, str, str], bytes]:
        """Rows of open windows that would be compared, by scope, window and model."""
        found: dict[tuple[str, str, str], list[Entries]] = {}
        numbered = [(scope, *key.split("/", 3)[1:], blob) for (scope, key), blob in self.state.items()
                    if key.startswith("band/")]  # fmt: skip
        for scope, index, _, model, blob in sorted(numbered, key=lambda part: int(part[2])):
            _, _, piece = msgspec.msgpack.decode(blob, type=tuple[str, int, PackedEntries])
            found.setdefault((scope, index, model), []).append(Entries.unpack(piece, PICTURE_ROW))
        return {key: encode(compared(pieces)) for key, pieces in found.items()}

    def remembered(self) -> dict[tuple[str, str, str], bytes]:
        """What panels that take over would know, by scope, model and client."""
        chunks: dict[tuple[str, str], dict[str, bytes]] = {}
        for (scope, key), blob in self.state.items():
            if key.startswith("panel/"):
                model, _, chunk = key.removeprefix("panel/").partition("\x1f")
                chunks.setdefault((scope, model), {})[chunk] = blob
        found = {}
        for (scope, model), mine in chunks.items():
            panel = Panel(model, baseline().models[model], 50.0)
            panel.restore(mine)
            found |= {(scope, model, client): blob for client, blob in panel.snapshot().items()}
        return found


def _ids(chunks: Mapping[tuple[str, str], bytes]) -> dict[tuple[str, int], float]:
    found: dict[tuple[str, int], float] = {}
    for (scope, _), blob in sorted(chunks.items()):
        keys, times = msgspec.msgpack.decode(blob, type=tuple[bytes, bytes])
        for key, ts in zip(np.frombuffer(keys, "<u8").tolist(), np.frombuffer(times, "<f8").tolist(), strict=True):
            found[scope, key] = ts
    return found


def run(
    core: Core,
    events: Sequence[Event],
    cuts: Sequence[int] = (),
    *,
    ticks: Sequence[tuple[int, float]] = (),
    restart: bool = False,
    sweep: bool = False,
    close: float | None = None,
) -> Seen:
    """One partition's events through an engine, cut into steps at ``cuts``; a checkpoint after each step.

    Args:
        ticks: (events before it, event time).
        restart: after each checkpoint go on with a new engine made from it.
        sweep: sweep after each step.
        close: a tick at the end.
    """
    seen = Seen()
    engine = Engine(core, 1)
    engine.assign(0, {})
    edges = sorted({0, len(events), *(c for c in cuts if 0 <= c <= len(events))})
    for begin, end in zip(edges, [*edges[1:], None], strict=True):
        if end is None:
            break
        mine = [(at - begin, ts) for at, ts in ticks if begin <= at < end or (at == end == len(events))]
        seen.take(engine.step(0, events[begin:end], ticks=mine))
        seen.take(engine.close_windows())
        if sweep:
            engine.partitions[0].sweep()
        seen.write(engine.delta())
        if restart:
            engine = Engine(core, 1, seen.scope("models"), [seen.scope("bands/0")])
            engine.assign(0, seen.scope("partition/0"))
    if close is not None:
        seen.take(engine.step(0, [], ticks=[(0, close)]))
        seen.take(engine.close_windows())
        seen.write(engine.delta())
    return seen


def spread(
    core: Core,
    events: Sequence[Event],
    end_ts: float,
    *,
    partitions: int = 1,
    lanes: int = 1,
    step: int = 10_000,
    backwards: bool = False,
    restart: bool = False,
) -> Seen:
    """Events by client over several partitions, each read in steps; a checkpoint after each round.

    Args:
        end_ts: of a tick at the end of each partition.
        lanes: partitions of the bands.
        backwards: which partition comes first in a round.
        restart: after each checkpoint go on with a new engine made from it.
    """
    seen = Seen()
    queues: dict[int, list[Event]] = {p: [] for p in range(partitions)}
    for e in events:
        queues[partition_of(e.client.encode(), partitions)].append(e)

    def engine() -> Engine:
        made = Engine(core, partitions, seen.scope("models"), [seen.scope(bands_scope(n)) for n in range(lanes)])
        for p in queues:
            made.assign(p, seen.scope(partition_scope(p)))
        return made

    running = engine()
    while any(queues.values()):
        for p in sorted(queues, reverse=backwards):
            seen.take(running.step(p, queues[p][:step]))
            queues[p] = queues[p][step:]
            if not queues[p]:
                seen.take(running.step(p, [], ticks=[(0, end_ts)]))
        seen.take(running.close_windows())
        seen.write(running.delta())
        running = engine() if restart else running
    seen.take(running.close_windows())
    return seen

"""Traffic of one small model for tests of row detectors: pictures or tables, honest clients and simple attackers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from detectors.batch import NO_LABEL, EventBatch, concat

Array = npt.NDArray[np.float64]

CLASSES = 4
PICTURE = (8, 8)
TABLE = (6,)
START_TS = 1_763_600_000.0


def prototypes(shape: tuple[int, ...]) -> Array:
    """One typical input per class, ``(CLASSES, d)``: smooth pictures, or points of a table."""
    rng = np.random.default_rng(7)
    if len(shape) == 1:
        return rng.normal(0.0, 2.0, (CLASSES, shape[0]))
    y, x = np.mgrid[: shape[0], : shape[1]]
    centres = rng.uniform(1.0, shape[0] - 2.0, (CLASSES, 3, 2))
    squared = (y - centres[..., :1, None]) ** 2 + (x - centres[..., 1:, None]) ** 2
    blobs = np.exp(-squared / 4.0).max(axis=1).reshape(CLASSES, -1, 1)
    return np.asarray(np.repeat(blobs, shape[2] if len(shape) > 2 else 1, axis=2).reshape(CLASSES, -1))


def served(x: Array, shape: tuple[int, ...]) -> Array:
    """Class probabilities ``(n, CLASSES)`` of the model: softmax of squared distances to the prototypes."""
    distance = np.sum((np.nan_to_num(x)[:, None, :] - prototypes(shape)[None]) ** 2, axis=2)
    score = np.exp(-(distance - distance.min(axis=1, keepdims=True)))
    return np.asarray(score / score.sum(axis=1, keepdims=True))


def batch(
    x: Array,
    clients: Sequence[str],
    shape: tuple[int, ...],
    ts: Array | None = None,
    prefix: str = "e",
    outputs: bool = True,
) -> EventBatch:
    """Rows as the pipeline hands them on; one second apart unless told."""
    n = len(x)
    scores = served(x, shape)
    return EventBatch(
        model="m",
        ids=tuple(f"{prefix}{i}" for i in range(n)),
        ts=START_TS + np.arange(n, dtype=np.float64) if ts is None else ts,
        clients=tuple(clients),
        x=x.astype(np.float32),
        shape=shape,
        labels=scores.argmax(axis=1).astype(np.int64) if outputs else np.full(n, NO_LABEL, dtype=np.int64),
        scores=scores.astype(np.float32) if outputs else None,
        request=np.arange(n, dtype=np.int64),
        versions=("1",) * n,
        ips=("",) * n,
    )


def honest(
    seed: int,
    shape: tuple[int, ...] = PICTURE,
    rows: int = 1500,
    clients: int = 24,
    prefix: str = "e",
    outputs: bool = True,
) -> EventBatch:
    """Clients who send variations of the prototypes, each with a sensor noise of its own, over two hours."""
    rng = np.random.default_rng(seed)
    who = rng.integers(0, clients, rows)
    noise = rng.uniform(0.03, 0.06, clients)[who]
    x = inputs(rng, rows, shape) + rng.normal(0.0, 1.0, (rows, int(np.prod(shape)))) * noise[:, None]
    ts = START_TS + np.sort(rng.random(rows)) * 7200.0
    return batch(x, [f"client:h{seed}-{c}" for c in who.tolist()], shape, ts, prefix, outputs)


def inputs(rng: np.random.Generator, rows: int, shape: tuple[int, ...]) -> Array:
    """Clean inputs without sensor noise: a prototype, brighter or darker, with a part of another one."""
    kinds = prototypes(shape)
    one, other = rng.integers(0, CLASSES, (2, rows))
    gain, part = rng.uniform(0.8, 1.2, (rows, 1)), rng.uniform(0.0, 0.3, (rows, 1))
    return np.asarray(kinds[one] * gain + kinds[other] * part)


def bisection(client: str, shape: tuple[int, ...] = PICTURE, rows: int = 40, seed: int = 0) -> EventBatch:
    """A decision-based attacker: halves the line between two classes, then asks about points round the boundary."""
    rng = np.random.default_rng(seed)
    low, high = prototypes(shape)[:2]
    home = served(low[None], shape).argmax()
    asked = [low, high]
    near, far = low, high
    for _ in range(8):
        middle = (near + far) / 2.0
        asked.append(middle)
        near, far = (middle, far) if served(middle[None], shape).argmax() == home else (near, middle)
    while len(asked) < rows:
        asked.append(far + rng.normal(0.0, 0.01, len(far)))
    return batch(np.stack(asked[:rows]), [client] * rows, shape, prefix=f"{client}-")


def walk(client: str, shape: tuple[int, ...] = PICTURE, steps: int = 40, seed: int = 3) -> EventBatch:
    """From one input to another in equal steps."""
    one, other = inputs(np.random.default_rng(seed), 2, shape)
    x = one + np.linspace(0.0, 1.0, steps + 1)[:, None] * (other - one)
    return batch(x, [client] * (steps + 1), shape, prefix=f"{client}-")


def noisy(
    client: str, shape: tuple[int, ...] = PICTURE, rows: int = 40, eps: float = 0.15, seed: int = 0
) -> EventBatch:
    """Clean inputs with every feature pushed up or down by ``eps``, as a sign-gradient attack does."""
    rng = np.random.default_rng(seed)
    x = inputs(rng, rows, shape) + eps * rng.choice([-1.0, 1.0], (rows, int(np.prod(shape))))
    return batch(x, [client] * rows, shape, prefix=f"{client}-")


def foreign(client: str, rows: int = 60, seed: int = 0) -> EventBatch:
    """Smooth pictures of another kind: ramps and waves."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:8, :8] / 7.0
    a, b, c = rng.uniform(-2.0, 2.0, (3, rows, 1, 1))
    pictures = a * x + b * y + np.sin(3.0 * c * (x - y))
    return batch(pictures.reshape(rows, -1), [client] * rows, PICTURE, prefix=f"{client}-")


def camera(client: str, rows: int = 200, seed: int = 0, flips: bool = False) -> EventBatch:
    """A fixed camera whose scene melts from one picture into another, over and over; sensor noise on each frame."""
    rng = np.random.default_rng(seed)
    kinds = prototypes(PICTURE)
    to = 1.0 if flips else 0.3
    blend = to * (0.5 - 0.5 * np.cos(np.arange(rows) * np.pi / 50.0))[:, None]
    x = kinds[0] * (1.0 - blend) + kinds[1] * blend + rng.normal(0.0, 0.03, (rows, 64))
    return batch(x, [client] * rows, PICTURE, prefix=f"{client}-")


def merged(*batches: EventBatch) -> EventBatch:
    """All rows in the order of their time; rows of one time in the order given."""
    whole = concat(list(batches))
    return whole.take(np.argsort(whole.ts, kind="stable"))


def later(moved: EventBatch, seconds: float) -> EventBatch:
    return replace(moved, ts=moved.ts + seconds)


def cut(whole: EventBatch, points: Sequence[int]) -> list[EventBatch]:
    """The rows in parts that end at ``points`` (any numbers; taken modulo the length)."""
    edges = sorted({0, len(whole), *(p % (len(whole) + 1) for p in points)})
    return [whole.take(np.arange(a, b)) for a, b in pairwise(edges)]

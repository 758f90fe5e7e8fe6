"""From clean traffic to a baseline, and what that traffic can vouch for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Final

import numpy as np

from detectors.alarm import Alarm, threshold
from detectors.baseline import Baseline, ModelBaseline, Source
from detectors.batch import EventBatch
from detectors.calibration_report import CalibrationReport, ModelReport
from detectors.digest import seed_of
from detectors.fingerprints import Fingerprints
from detectors.folds import held_out, held_out_scores
from detectors.membership_hits import SketchedMembershipHits
from detectors.registry import ROW_DETECTORS, WINDOW_DETECTORS, RowDetectorType
from detectors.tail_rates import fit_tails
from detectors.training_sketch import TrainingSketch
from detectors.window_calibration import WindowDetectorType, calibrate_windows, clean_rows

LEAST_EVENTS: Final = 300
LEAST_CLIENTS: Final = 20
_MINUTES_PER_DAY: Final = 1440.0


class CalibrationError(ValueError):
    """Too little clean traffic; the message says how much there is and how much is needed."""


def calibrate(
    batches_by_model: Mapping[str, EventBatch],
    *,
    clients_per_day: float = 0.01,
    window_s: float = 60.0,
    sample_rows: int = 500,
    window_detectors: Callable[[str], Sequence[WindowDetectorType]] = lambda _model: WINDOW_DETECTORS,
    training_sketches: Mapping[str, TrainingSketch] = MappingProxyType({}),
    sources: Sequence[Source] = (),
    made_by: str = "",
    salt: bytes = b"",
) -> tuple[Baseline, CalibrationReport]:
    """A baseline of every model in ``batches_by_model`` (rows in event order), and a report.

    Lines and tail rates come from scores out of sample: clients are divided in three, and each third is scored as a
    stream by detectors fitted on the other two. The detectors of the baseline are fitted on all. The traffic must be
    clean: what is in it will not be found later.

    Args:
        clients_per_day: false-alarm budget that the report speaks of; the baseline does not depend on it.
        window_s: length of a window, seconds. sample_rows: rows a window's sample keeps.
        window_detectors: those of a model, by its name.
        training_sketches: of models' training sets; those models get ``detectors.membership_hits``.
        sources, made_by: written into the baseline.
        salt: a secret on which all random choices depend besides the traffic: who has all of the traffic but not the
            salt cannot tell which queries have the same fingerprint.

    Raises CalibrationError for models with fewer than 300 events or 20 clients, all of them named, and for sketches of
    other models or of rows of another shape.
    """
    _check(batches_by_model)
    _check_sketches(batches_by_model, training_sketches)
    models, reports = {}, []
    keyed = hashlib.blake2b(salt, digest_size=32).digest() if salt else b""
    for name, clean in sorted(batches_by_model.items()):
        clean = replace(clean, salt=keyed)
        sketched = [SketchedMembershipHits(training_sketches[name])] if name in training_sketches else []
        kinds = (*ROW_DETECTORS, *sketched)
        models[name], report = _model(clean, clients_per_day, window_s, sample_rows, kinds, window_detectors(name))
        reports.append(report)
    return Baseline(models, tuple(sources), made_by), CalibrationReport(tuple(reports))


def client_days(clean: EventBatch) -> float:
    """Clients times the time observed, in days: minutes (UTC) with any traffic of the model."""
    minutes = len(np.unique(np.floor(clean.ts / 60.0)))
    return len(set(clean.clients)) * minutes / _MINUTES_PER_DAY


def _check(batches_by_model: Mapping[str, EventBatch]) -> None:
    if not batches_by_model:
        raise CalibrationError("no events to calibrate on")
    short = []
    for name, clean in sorted(batches_by_model.items()):
        events, clients = len(set(clean.ids)), len(set(clean.clients))
        if events < LEAST_EVENTS or clients < LEAST_CLIENTS:
            short.append(
                f"model {name!r} has {events} events of {clients} clients; "
                f"at least {LEAST_EVENTS} events of {LEAST_CLIENTS} clients are needed"
            )
    if short:
        raise CalibrationError("; ".join(short))


def _check_sketches(batches_by_model: Mapping[str, EventBatch], sketches: Mapping[str, TrainingSketch]) -> None:
    for name, sketch in sketches.items():
        if name not in batches_by_model:
            raise CalibrationError(f"there is a training sketch of model {name!r}, but no clean traffic of it")
        shape = tuple(batches_by_model[name].shape)
        if tuple(sketch.shape) != shape:
            raise CalibrationError(
                f"model {name!r}: the training sketch is of rows of shape {tuple(sketch.shape)}, the clean requests "
                f"have {shape}; make the sketch with that shape"
            )


def _model(
    clean: EventBatch,
    clients_per_day: float,
    window_s: float,
    sample_rows: int,
    row_detectors: Sequence[RowDetectorType],
    window_detectors: Sequence[WindowDetectorType],
) -> tuple[ModelBaseline, ModelReport]:
    names, client = np.unique(np.array(clean.clients), return_inverse=True)
    folds = held_out(clean)
    params, versions, tails, scores = {}, {}, {}, []
    for kind in row_detectors:
        name = kind.info.name
        scores.append(held_out_scores(kind, folds))
        tails[name] = fit_tails(scores[-1], client, kind.resolution, lasting_cause=kind.info.lasting_cause)
        params[name], versions[name] = kind.fit(clean), kind.info.version
    params[Fingerprints.info.name], versions[Fingerprints.info.name] = (
        Fingerprints.fit(clean),
        Fingerprints.info.version,
    )
    windows = {}
    for window_kind in window_detectors:
        name = window_kind.info.name
        seed = seed_of(clean) % (1 << 32)
        windows[name] = calibrate_windows(window_kind, clean, window_s=window_s, seed=seed, sample_rows=sample_rows)
        params[name], versions[name] = window_kind.fit(clean_rows(clean, window_s)), window_kind.info.version
    days = client_days(clean)
    width = 0 if clean.scores is None else clean.scores.shape[1]
    baseline = ModelBaseline(
        tuple(clean.shape),
        params,
        versions,
        tails,
        {kind.info.name: int(np.count_nonzero(~np.isnan(s))) for kind, s in zip(row_detectors, scores, strict=True)},
        windows,
        len(clean),
        len(names),
        days,
        width,
    )
    c = threshold(clients_per_day, baseline.started_per_client_day(tails))
    accusing = [kind.info.accuses for kind in row_detectors]
    alarm = Alarm([tails[kind.info.name] for kind in row_detectors], c, accusing)
    start = np.zeros((len(names), *alarm.shape), dtype=np.int64)
    evidence = alarm.run(alarm.hits(np.stack(scores, axis=1)), client, start)
    found = len(np.unique(client[evidence.e.any(axis=1) | (alarm.joint(evidence.log_e) > 0)]))
    return baseline, ModelReport(
        model=clean.model,
        rows=len(clean),
        clients=len(names),
        client_days=days,
        clients_per_day=clients_per_day,
        falsely_found=found,
        hits_needed={
            kind.info.name: int(n)
            for kind, n in zip(row_detectors, alarm.hits_needed(), strict=True)
            if np.isfinite(tails[kind.info.name].levels).all()
        },
    )

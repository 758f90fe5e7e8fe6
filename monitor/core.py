"""What every partition shares and nobody changes: settings, baseline, policy, and what detectors are made from."""

from __future__ import annotations

import math
from pathlib import Path

from detectors.alibi import build_alibi
from detectors.baseline import Baseline, BaselineError
from detectors.batch import EventBatch
from detectors.contract import WindowDetector
from detectors.fingerprints import Fingerprints
from detectors.groups import Groups
from detectors.joint import Joint
from detectors.panel import Panel
from detectors.registry import WINDOW_DETECTORS
from detectors.window_alarm import WindowLimits, fit_limits
from detectors.window_calibration import WindowDetectorType
from monitor.errors import UserError
from monitor.policy import Policy
from monitor.settings import Detection, Settings
from monitor.windows import WindowPlan


class Core:
    """Frozen after construction; shared by all partitions of a worker.

    Raises UserError if the baseline does not fit the settings or this version's detectors.
    """

    def __init__(self, settings: Settings, baseline: Baseline) -> None:
        self.settings = settings
        self.baseline = baseline
        self.policy = Policy(settings.response)
        self.window_limits: dict[tuple[str, str], WindowLimits] = {}
        detectors: dict[str, dict[str, WindowDetector]] = {}
        quotas: dict[str, int] = {}
        for model in baseline.models:
            detectors[model] = self._window_detectors(model)
            for name in detectors[model]:
                calibration = baseline.models[model].windows[name]
                quotas[model] = int(calibration["quota"])
                self.window_limits[model, name] = fit_limits(
                    calibration,
                    windows_per_day=settings.detection.false_alarms.windows_per_day,
                    detectors=len(detectors[model]),
                )
        windows = settings.windows
        self.window_plan = WindowPlan(
            detectors, windows.size_s, windows.grace_s, windows.sample_rows, quotas, baseline.checksum
        )
        #: By model; none if groups are not looked for.
        self.fingerprints = {model: prints for model in baseline.models if (prints := self._fingerprints(model))}
        #: Windows over which rows of different clients are compared.
        self.group_slots = max(math.ceil(settings.detection.groups.memory_s / windows.size_s), 1)
        panels = {model: self.panel(model) for model in baseline.models}  # fails here rather than at the first event
        self._thresholds = {model: panel.threshold for model, panel in panels.items() if panel is not None}
        #: Models for whose accounts joint evidence is looked for.
        wanted = Joint.info.name not in settings.detection.disabled
        self.joint_models = frozenset(baseline.models if wanted else ())

    def panel(self, model: str) -> Panel | None:
        """A new panel for a model; None if the baseline does not know it."""
        found = self.baseline.models.get(model)
        if found is None:
            return None
        detection, clients = self.settings.detection, self.settings.clients
        try:
            return Panel(
                model,
                found,
                detection.false_alarms.clients_per_day,
                detection.disabled,
                ttl_s=clients.ttl_s,
                max_clients=clients.max_clients,
                max_state_mb=clients.max_state_mb,
            )
        except BaselineError as error:
            raise UserError(str(error)) from error

    def groups(self, model: str) -> Groups:
        """A new ledger of links for a model that has fingerprints."""
        return Groups(
            self.fingerprints[model].views,
            self.baseline.models[model].rows_per_client_day,
            self.settings.detection.false_alarms.clients_per_day,
            self.group_slots,
            self.settings.windows.size_s,
        )

    def joint(self, model: str) -> Joint:
        """A new ledger of suspicions for one of ``joint_models``."""
        budget = self.settings.detection.false_alarms.clients_per_day
        return Joint(self._thresholds[model], budget, self.group_slots, self.settings.windows.size_s)

    def fits(self, batch: EventBatch) -> bool:
        """Were rows of this shape calibrated for the model?"""
        found = self.baseline.models.get(batch.model)
        return found is not None and tuple(found.shape) == tuple(batch.shape)

    def _fingerprints(self, model: str) -> Fingerprints | None:
        info, found = Fingerprints.info, self.baseline.models[model]
        if info.name in self.settings.detection.disabled:
            return None
        if found.versions.get(info.name) != info.version:
            raise UserError(
                f"model {model!r}: the baseline has {info.name} {found.versions.get(info.name, '(none)')}, this "
                f"version needs {info.version}; calibrate again"
            )
        try:
            return Fingerprints(found.params[info.name])
        except (LookupError, TypeError, ValueError) as error:
            raise UserError(f"model {model!r}: the baseline's parameters make no sense ({error!r})") from error

    def _window_detectors(self, model: str) -> dict[str, WindowDetector]:
        made: dict[str, WindowDetector] = {}
        for kind in window_detector_types(self.settings.detection, model):
            name, version = kind.info.name, kind.info.version
            if name in self.settings.detection.disabled:
                continue
            found = self.baseline.models[model]
            if found.versions.get(name) != version or name not in found.windows:
                raise UserError(
                    f"model {model!r}: the baseline has {name} {found.versions.get(name, '(none)')}, this needs "
                    f"{version}; calibrate again with this configuration"
                )
            size_s = float(found.windows[name]["window_s"])
            if size_s != self.settings.windows.size_s:
                raise UserError(
                    f"windows.size_s is {self.settings.windows.size_s:g}, but the baseline was made with {size_s:g}; "
                    "calibrate again with this configuration"
                )
            made[name] = kind(found.params[name])
        return made


def window_detector_types(detection: Detection, model: str) -> tuple[WindowDetectorType, ...]:
    """The window detectors of a model: those that ship, and the alibi-detect ones configured for it."""
    configured = [
        build_alibi(path=a.path, name=a.name, options=a.options, min_rows=a.min_rows)
        for a in detection.alibi
        if a.model == model
    ]
    return (*WINDOW_DETECTORS, *configured)


def load_core(settings: Settings) -> Core:
    """The core with the configured baseline. Raises UserError if there is none, or it cannot be used."""
    path = settings.detection.baseline
    if not path:
        raise UserError(
            "detection.baseline is not set: without one nothing can be judged. "
            "Make it from clean traffic: vedette calibrate CLEAN.jsonl -o baseline.vdb"
        )
    try:
        return Core(settings, Baseline.load(Path(path)))
    except (BaselineError, OSError) as error:
        raise UserError(f"baseline {path}: {error}") from error

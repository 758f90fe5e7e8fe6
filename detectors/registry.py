"""Every detector there is. A new one is a file with a class and a line here."""

from __future__ import annotations

from typing import Final, Protocol

from detectors.batch import EventBatch
from detectors.confidence import Confidence
from detectors.contract import DetectorInfo, Params, RowDetector
from detectors.coverage import Coverage
from detectors.near_duplicate import NearDuplicate
from detectors.noise_floor import NoiseFloor
from detectors.noise_residue import NoiseResidue
from detectors.partial_repeat import PartialRepeat
from detectors.rate import Rate
from detectors.shift import ShiftDetector
from detectors.synthetic import Synthetic
from detectors.trajectory import Trajectory
from detectors.unseen_values import UnseenValues
from detectors.variants import Variants
from detectors.window_calibration import WindowDetectorType


class RowDetectorType(Protocol):
    """A class of row detectors: fits parameters, makes a detector from them."""

    @property
    def info(self) -> DetectorInfo: ...

    @property
    def costly(self) -> bool: ...

    @property
    def resolution(self) -> float:
        """Smallest difference in score that means anything; calibration keeps its lines that far apart."""
        ...

    def fit(self, clean: EventBatch) -> Params: ...

    def __call__(self, params: Params) -> RowDetector: ...


ROW_DETECTORS: Final[tuple[RowDetectorType, ...]] = (
    NearDuplicate,
    NoiseFloor,
    PartialRepeat,
    Trajectory,
    Variants,
    UnseenValues,
    Coverage,
    Synthetic,
    NoiseResidue,
    Rate,
    Confidence,
)

WINDOW_DETECTORS: Final[tuple[WindowDetectorType, ...]] = (ShiftDetector,)

"""Every detector there is. A new one is a file with a class and a line here."""

from __future__ import annotations

from collections.abc import Container
from typing import Final, Protocol

from detectors.batch import EventBatch
from detectors.bisection import Bisection
from detectors.confidence import Confidence
from detectors.contract import DetectorInfo, Params, RowDetector
from detectors.coverage import Coverage
from detectors.coverage_growth import CoverageGrowth
from detectors.label_balance import LabelBalance
from detectors.membership_hits import MembershipHits
from detectors.near_duplicate import NearDuplicate
from detectors.noise_floor import NoiseFloor
from detectors.noise_residue import NoiseResidue
from detectors.partial_repeat import PartialRepeat
from detectors.rate import Rate
from detectors.shift import ShiftDetector
from detectors.synthetic import Synthetic
from detectors.synthetic_blocks import SyntheticBlocks
from detectors.trajectory import Trajectory
from detectors.unseen_values import UnseenValues
from detectors.variants import Variants
from detectors.window_calibration import WindowDetectorType


class CalibratedRowDetectorType(Protocol):
    """A class of row detectors: makes a detector from calibrated parameters."""

    @property
    def info(self) -> DetectorInfo: ...

    @property
    def costly(self) -> bool: ...

    @property
    def resolution(self) -> float:
        """Smallest difference in score that means anything; calibration keeps its lines that far apart."""
        ...

    def __call__(self, params: Params) -> RowDetector: ...


class RowDetectorType(CalibratedRowDetectorType, Protocol):
    """One whose parameters can be fitted."""

    def fit(self, clean: EventBatch) -> Params:
        """Reference statistics from clean traffic of many clients, in event order."""
        ...


ROW_DETECTORS: Final[tuple[RowDetectorType, ...]] = (
    NearDuplicate,
    NoiseFloor,
    PartialRepeat,
    Bisection,
    Trajectory,
    Variants,
    UnseenValues,
    Coverage,
    CoverageGrowth,
    LabelBalance,
    Synthetic,
    SyntheticBlocks,
    NoiseResidue,
    Rate,
    Confidence,
)

#: Those that only models have for which calibration was given more than clean traffic.
OPTIONAL_ROW_DETECTORS: Final[tuple[CalibratedRowDetectorType, ...]] = (MembershipHits,)

WINDOW_DETECTORS: Final[tuple[WindowDetectorType, ...]] = (ShiftDetector,)


def row_detectors(calibrated: Container[str]) -> tuple[CalibratedRowDetectorType, ...]:
    """Row detectors of a model in order: all that every model has, and of the optional ones those ``calibrated``."""
    return (*ROW_DETECTORS, *(kind for kind in OPTIONAL_ROW_DETECTORS if kind.info.name in calibrated))

"""Training sketches as ``vedette calibrate`` is given them: which is of which model, and what to say of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from detectors.batch import EventBatch
from detectors.training_sketch import SketchError, TrainingSketch
from monitor.errors import UserError

#: Requests and training set spread alike; by so much less or more they are hardly in the same units.
_MOST_RATIO: Final = 10.0
#: If more clean requests are near training records, asking about those says little.
_MANY: Final = 0.2


@dataclass(frozen=True, slots=True)
class NamedSketch:
    path: Path
    sketch: TrainingSketch


def training_sketches(options: Iterable[str], batches: Mapping[str, EventBatch]) -> dict[str, NamedSketch]:
    """Sketches by model, of options ``MODEL=FILE``, or ``FILE`` if there is one model.

    Raises UserError for a sketch of no model, or of one that has one already, and for files that are no sketches.
    """
    found: dict[str, NamedSketch] = {}
    for option in options:
        model, path = _model_and_path(option, batches)
        if model in found:
            raise UserError(f"--training-sketch {option}: model {model!r} has {found[model].path} already")
        try:
            found[model] = NamedSketch(path, TrainingSketch.load(path))
        except SketchError as error:
            raise UserError(f"{error} (vedette sketch makes one)") from error
    return found


def sketch_notes(sketches: Mapping[str, NamedSketch], batches: Mapping[str, EventBatch]) -> list[str]:
    """What a person should know of each sketch beside the clean traffic; none of those that do not fit it at all."""
    notes = []
    for model, one in sketches.items():
        clean, sketch = batches[model], one.sketch
        if tuple(clean.shape) != tuple(sketch.shape):
            continue  # calibration refuses it
        share, ratio = sketch.hit_share(clean), sketch.spread_ratio(clean)
        notes.append(f"{model}: {share:.2g} of the clean requests are training records, or nearly")
        if share > _MANY:
            notes.append("  that is many: membership_hits will find little, since honest clients ask about them too")
        if not 1.0 / _MOST_RATIO < ratio < _MOST_RATIO:
            notes.append(
                f"  clean requests are spread {ratio:.2g} times as widely as the training set: are both in the same "
                "units, scaled and encoded alike?"
            )
    return notes


def _model_and_path(option: str, batches: Mapping[str, EventBatch]) -> tuple[str, Path]:
    model, equals, rest = option.partition("=")
    if equals and model in batches:
        return model, Path(rest)
    names = ", ".join(sorted(batches)) or "none"
    if equals and not Path(option).exists():
        raise UserError(f"--training-sketch {option}: no model {model!r} in the clean traffic; there are {names}")
    if len(batches) != 1:
        raise UserError(f"--training-sketch {option}: say which model it is of, MODEL={option}; there are {names}")
    return next(iter(batches)), Path(option)

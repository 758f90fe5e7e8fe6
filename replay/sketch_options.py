"""Training sketches as ``vedette calibrate`` is given them: which is of which model, and what to say of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from detectors.batch import EventBatch
from detectors.training_sketch import MOST_COMMON, SketchError, TrainingSketch
from monitor.errors import UserError

#: Requests and training set spread alike; by so much less or more they are hardly in the same units.
_MOST_RATIO: Final = 10.0


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


def usable(
    sketches: Mapping[str, NamedSketch], batches: Mapping[str, EventBatch]
) -> tuple[dict[str, NamedSketch], list[str]]:
    """The sketches without those of records that honest clients ask about as well, and what a person should know.

    Those of another shape than the clean traffic are left for calibration to refuse.
    """
    kept, notes = dict(sketches), list[str]()
    for model, one in sketches.items():
        clean, sketch = batches[model], one.sketch
        if tuple(clean.shape) != tuple(sketch.shape):
            continue
        share, ratio = sketch.hit_share(clean), sketch.spread_ratio(clean)
        notes.append(f"{model}: {share:.2g} of the clean requests are training records, or nearly")
        if share > MOST_COMMON:
            del kept[model]
            notes.append("  the sketch is left out: asking about them tells nobody from an honest client")
        if not 1.0 / _MOST_RATIO < ratio < _MOST_RATIO:
            notes.append(
                f"  clean requests are spread {ratio:.2g} times as widely as the training set: are both in the same "
                "units, scaled and encoded alike?"
            )
    return kept, notes


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

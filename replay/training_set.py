"""A training set as people have it on disk: .npy, .npz or a table of numbers in .csv."""

from __future__ import annotations

import csv
import zipfile
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from detectors.sketching import MOST_ROWS
from monitor.errors import UserError

_MISSING: Final = frozenset({"", "na", "nan", "null", "none"})

Table = npt.NDArray[Any]


def read_training_set(path: Path, name: str = "", leave_out: Sequence[str] = ()) -> Table:
    """Rows ``(n, ...)``; ``.npy`` is mapped, not read.

    Args:
        name: which array of an ``.npz``, if it has several.
        leave_out: columns of a ``.csv`` that are no inputs, by their names or numbers from 1.

    Raises UserError, saying what is wrong and where; OSError if the file cannot be read. Nothing is unpickled.
    """
    suffix = path.suffix.lower()
    if suffix not in (".npy", ".npz", ".csv"):
        raise UserError(f"{path}: a training set is .npy, .npz or .csv")
    if leave_out and suffix != ".csv":
        raise UserError("--leave-out is for columns of a .csv")
    if name and suffix != ".npz":
        raise UserError("--array is for the arrays of an .npz")
    if suffix == ".csv":
        return _csv_rows(path, leave_out)
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False) if suffix == ".npy" else _npz_rows(path, name)
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: no array of numbers can be read from it: {error}") from error


def _npz_rows(path: Path, name: str) -> Table:
    with np.load(path, allow_pickle=False) as arrays:
        if not isinstance(arrays, np.lib.npyio.NpzFile):
            raise UserError(f"{path}: it is no .npz")
        names = ", ".join(arrays.files) or "none"
        if not name and len(arrays.files) != 1:
            raise UserError(f"{path}: choose one of its arrays with --array; there are {names}")
        if name and name not in arrays.files:
            raise UserError(f"{path}: no array {name!r}; there are {names}")
        rows: Table = arrays[name or arrays.files[0]]
        return rows


def _csv_rows(path: Path, leave_out: Sequence[str]) -> Table:
    """The table, float32; empty cells and NA are missing values. The first line may name the columns."""
    values, rows = array("f"), 0
    with path.open(encoding="utf-8-sig", newline="") as file:
        try:
            lines = _lines(file, path)
            number, first = next(lines, (1, []))
            if not first:
                raise UserError(f"{path}: it is empty")
            header = first if any(_number(cell) is None for cell in first) else []
            kept = _kept(path, len(first), header, leave_out)
            if not header:
                lines = _again(number, first, lines)
            for number, cells in lines:
                if len(cells) != len(first):
                    raise UserError(f"{path}, line {number}: {len(cells)} cells, the first line has {len(first)}")
                row = [_number(cells[column]) for column in kept]
                if None in row:
                    at = kept[row.index(None)]
                    called = f" ({header[at]!r})" if header else ""
                    raise UserError(f"{path}, line {number}, column {at + 1}{called}: {cells[at]!r:.60} is no number")
                values.extend(value for value in row if value is not None)
                rows += 1
                if rows > MOST_ROWS:
                    raise UserError(f"{path}: more than {MOST_ROWS} rows; a sketch takes a sample of them as well")
        except UnicodeDecodeError:
            raise UserError(f"{path}: it is no UTF-8 text") from None
    return np.frombuffer(values, dtype=np.float32).reshape(rows, len(kept))


def _lines(file: Any, path: Path) -> Iterator[tuple[int, list[str]]]:
    """Lines that are not empty, with their numbers."""
    reader = csv.reader(file)
    try:
        for cells in reader:
            if cells:
                yield reader.line_num, cells
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num}: {error}") from error


def _again(number: int, first: list[str], rest: Iterator[tuple[int, list[str]]]) -> Iterator[tuple[int, list[str]]]:
    yield number, first
    yield from rest


def _kept(path: Path, columns: int, header: list[str], leave_out: Sequence[str]) -> list[int]:
    """Columns that are inputs."""
    gone = set()
    for name in leave_out:
        if name in header:
            gone.add(header.index(name))
        elif name.isascii() and name.isdigit() and 1 <= int(name) <= columns:
            gone.add(int(name) - 1)
        else:
            known = ", ".join(header) if header else f"1 to {columns}"
            raise UserError(f"{path}: no column {name!r} to leave out; there are {known}")
    if len(gone) == columns:
        raise UserError(f"{path}: no column is left")
    return [column for column in range(columns) if column not in gone]


def _number(cell: str) -> float | None:
    text = cell.strip()
    if text.lower() in _MISSING:
        return float("nan")
    try:
        return float(text)
    except ValueError:
        return None

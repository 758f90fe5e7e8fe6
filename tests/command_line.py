"""The ``vedette`` command as a shell starts it, in this process: arguments in, exit code and texts out."""

from __future__ import annotations

import contextlib
import io
import os
from dataclasses import dataclass
from unittest import mock

from monitor.cli.main import run


@dataclass(frozen=True, slots=True)
class Ran:
    """``out`` and ``err`` as a terminal of ``columns`` without colours gets them."""

    code: int
    out: str
    err: str

    @property
    def words(self) -> str:
        """All text with line breaks and runs of spaces as one space, for looking up phrases that may wrap."""
        return " ".join((self.out + " " + self.err).split())


def vedette(*arguments: object, columns: int = 80) -> Ran:
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    terminal = {"COLUMNS": str(columns), "TERM": "dumb", "NO_COLOR": "1"}
    with (
        mock.patch("sys.argv", ["vedette", *map(str, arguments)]),
        mock.patch.dict(os.environ, terminal),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            run()
            code = 0
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        except BaseException as error:
            raise AssertionError(f"vedette {' '.join(map(str, arguments))} ended with a traceback") from error
    return Ran(code, *(stream.buffer.getvalue().decode() for stream in (out, err)))  # type: ignore[attr-defined] # BytesIO

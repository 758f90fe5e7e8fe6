"""Files read and written through the compression their name ends in: ``.gz``, ``.zst`` or none."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path
from typing import IO, BinaryIO, Final, cast

import zstandard

#: What reading a damaged or cut file raises, beside OSError.
DAMAGED: Final = (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError)
#: A block of 4 bytes may stand for 128 KiB, so what one piece expands to is bounded by 32768 times its size: 16 MiB.
_PIECE_BYTES: Final = 512


def open_decompressed(path: Path) -> IO[bytes]:
    """The file's plain bytes as a stream of bounded memory. Raises OSError now, one of DAMAGED while it is read."""
    if path.name.endswith(".gz"):
        return cast(IO[bytes], gzip.open(path, "rb"))
    file = path.open("rb")
    return io.BufferedReader(_ZstdReader(file)) if path.name.endswith(".zst") else file


def compressing(path: Path, target: IO[bytes]) -> IO[bytes]:
    """A stream that compresses into ``target`` as the path's name says; ``target`` itself where it says nothing.

    Closing it ends the compressed data and leaves ``target`` open. The same bytes always compress to the same bytes.
    """
    if path.name.endswith(".gz"):
        return cast(IO[bytes], gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=target, mtime=0))
    if path.name.endswith(".zst"):
        return cast(IO[bytes], zstandard.ZstdCompressor(write_checksum=True).stream_writer(target, closefd=False))
    return target


class _ZstdReader(io.RawIOBase):
    """The plain bytes of one or more Zstandard frames.

    The library's own stream reader takes the end of a cut file for the end of its data; this one raises EOFError.
    """

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._frame: zstandard.ZstdDecompressionObj | None = None
        self._compressed = b""
        self._plain = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]  # typeshed: any Buffer
        while not self._plain:
            if not self._refill():
                return 0
        n = min(len(buffer), len(self._plain))
        buffer[:n] = self._plain[:n]
        self._plain = self._plain[n:]
        return n

    def close(self) -> None:
        self._source.close()
        super().close()

    def _refill(self) -> bool:
        self._compressed = self._compressed or self._source.read(_PIECE_BYTES)
        if not self._compressed:
            if self._frame is not None:
                raise EOFError("compressed data ends inside a frame")
            return False
        if self._frame is None:
            self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._plain = memoryview(self._frame.decompress(self._compressed))
        self._compressed = b""
        if self._frame.eof:
            self._compressed = self._frame.unused_data
            self._frame = None
        return True

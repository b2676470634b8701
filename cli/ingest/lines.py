"""Lines of a file as shops write them: gzip, byte order marks, line ends; and those that cannot be read.

Damage costs the lines that it is in and no others. Memory is bounded by ``MAX_LINE_BYTES``.
"""

import codecs
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

MAX_LINE_BYTES = 512 * 1024
"""Bytes of a line in UTF-8. The API takes 64 KiB of an event; a line may have as much again in blanks."""

_CHUNK_BYTES = 64 * 1024

_GZIP_MAGIC = b"\x1f\x8b"

_LINE_END = re.compile(rb"\r\n|\n|\r")

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""The marks of UTF-32 first: they begin with one of UTF-16."""

_MARK = "\ufeff"


@dataclass(frozen=True, slots=True)
class TextLine:
    """One line without its end. ``number``: from 1."""

    number: int
    text: str


@dataclass(frozen=True, slots=True)
class InvalidLine:
    """A line that is no valid event, with the reason and what to do."""

    line_number: int
    reason: str


RawLine = TextLine | InvalidLine


class _DamagedFile(Exception):
    """The rest of the file cannot be read."""


@contextmanager
def open_lines(file: Path) -> Iterator[tuple[Iterator[RawLine], BinaryIO]]:
    """Open a file, also with gzip; yields its lines and the raw file, for the position reached."""
    with file.open("rb") as raw:
        yield read_lines(raw), raw


def read_lines(raw: BinaryIO) -> Iterator[RawLine]:
    """Yield the lines of a file that is open at its start. Never raises for what the file holds.

    Reads UTF-8, UTF-16 and UTF-32, with or without a byte order mark, and gzip of any number of members.
    Lines end with LF, CRLF or CR. A line that is no UTF-8, holds a NUL byte or is longer than
    ``MAX_LINE_BYTES`` becomes an ``InvalidLine``, and so does the place from which gzip data is damaged or
    missing.
    """
    is_gzip = raw.read(2) == _GZIP_MAGIC
    raw.seek(0)
    return _split_lines(_to_utf8(_inflate(raw) if is_gzip else iter(lambda: raw.read(_CHUNK_BYTES), b"")))


def _inflate(raw: BinaryIO) -> Iterator[bytes]:
    """Yield the content of a gzip file, member after member. Raises ``_DamagedFile``."""
    inflater = None
    while chunk := raw.read(_CHUNK_BYTES):
        while chunk:
            if inflater is None:
                # Tapes and block devices pad a file with zeros.
                chunk = chunk.lstrip(b"\0")
                if not chunk:
                    break
                inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
            before = inflater.copy()
            try:
                content = inflater.decompress(chunk, MAX_LINE_BYTES)
            except zlib.error as error:
                yield _inflate_until_fault(before, chunk)
                raise _DamagedFile(f"the gzip data is damaged from here on ({error})") from None
            yield content
            chunk = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
            if inflater.eof:
                inflater = None
    if inflater is not None:
        raise _DamagedFile("the gzip data ends here, before its end: the file was cut")


def _inflate_until_fault(inflater: "zlib._Decompress", chunk: bytes) -> bytes:
    """Return what can be read of a damaged chunk: a call that fails returns nothing of what it has read."""
    found = bytearray()
    try:
        for position in range(len(chunk)):
            found += inflater.decompress(chunk[position : position + 1])
    except zlib.error:
        pass
    return bytes(found)


def _to_utf8(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the content in UTF-8, if its first bytes show that it is UTF-16 or UTF-32; else unchanged."""
    first = next(chunks, b"")
    encoding = _encoding_of(first)
    if encoding is None:
        yield first
        yield from chunks
        return
    decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
    yield decoder.decode(first).encode()
    for chunk in chunks:
        yield decoder.decode(chunk).encode()
    yield decoder.decode(b"", final=True).encode()


def _encoding_of(start: bytes) -> str | None:
    """Return the encoding by a mark, or by the NUL bytes of letters in UTF-16; None for UTF-8."""
    for mark, encoding in _BYTE_ORDER_MARKS:
        if start.startswith(mark):
            return encoding
    zeros = [byte == 0 for byte in start[:4]]
    return {(False, True, False, True): "utf-16-le", (True, False, True, False): "utf-16-be"}.get(
        tuple(zeros)  # type: ignore[arg-type]
    )


def _split_lines(chunks: Iterator[bytes]) -> Iterator[RawLine]:
    number, rest, is_too_long = 0, b"", False
    try:
        for chunk in chunks:
            content = rest + chunk
            # Whether a CR ends the line alone is known with the next byte.
            held = b"\r" if content.endswith(b"\r") else b""
            *ended, rest = _LINE_END.split(content[: len(content) - len(held)])
            for line in ended:
                number += 1
                yield _too_long(number) if is_too_long else _decode_line(number, line)
                is_too_long = False
            if len(rest) > MAX_LINE_BYTES:
                rest, is_too_long = b"", True
            rest += held
    except _DamagedFile as damage:
        yield InvalidLine(
            number + 1,
            f"{damage}; what follows is lost: copy the file anew and send it again, what is in counts once",
        )
        return
    rest = rest.removesuffix(b"\r")
    if rest or is_too_long:
        yield _too_long(number + 1) if is_too_long else _decode_line(number + 1, rest)


def _too_long(number: int) -> InvalidLine:
    return InvalidLine(
        number,
        f"is longer than {MAX_LINE_BYTES // 1024} KiB, and an event has at most 64 KiB; "
        "write one event a line, and leave out what is not needed",
    )


def _decode_line(number: int, line: bytes) -> RawLine:
    if len(line) > MAX_LINE_BYTES:
        return _too_long(number)
    if (nul := line.find(b"\0")) >= 0:
        return InvalidLine(
            number,
            f"has a NUL byte at position {nul + 1}: it was damaged; write it again from the source",
        )
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        return InvalidLine(
            number,
            f"byte {line[error.start]:#04x} at position {error.start + 1} is not UTF-8; save the file "
            "as UTF-8, for example with iconv -f WINDOWS-1252 -t UTF-8",
        )
    # Files that were put together have a mark in the middle.
    return TextLine(number, text.removeprefix(_MARK))

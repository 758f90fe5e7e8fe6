"""Walk over many JSON records at once: where their texts stand, and their numbers."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from detectors.kernels.compiled import kernel

Array = npt.NDArray[Any]

#: Rows of ``lines``: texts that nearly every record has, and differ.
ID: Final = 0
CLIENT_ID: Final = 1
CLIENT_IP: Final = 2
LINES: Final = 3

#: Rows of ``fields``: begin and end in ``texts``, -1 where there is none; a time's only if it must be read exactly.
TS: Final = 0
MODEL: Final = 2
VERSION: Final = 4
SHAPE: Final = 6
LABEL_NAME: Final = 8
#: Numbers in ``inputs`` and in ``scores`` (-1: no such array); the label, and whether there is one; the same of value.
INPUTS: Final = 10
SCORES: Final = 11
LABEL: Final = 12
HAS_LABEL: Final = 13
HAS_VALUE: Final = 14
#: The record that first had the same model, version, shape as all taken since.
MODEL_OF: Final = 15
VERSION_OF: Final = 16
SHAPE_OF: Final = 17
WIDTH: Final = 18

#: Places of ``so_far``: how much of ``inputs``, ``scores``, ``texts`` and of each line is filled; records seen, and
#: taken; the last one taken.
AT_INPUT: Final = 0
AT_SCORE: Final = 1
AT_TEXT: Final = 2
AT_LINE: Final = 3
SEEN: Final = 6
TAKEN: Final = 7
LAST: Final = 8
PLACES: Final = 9

#: Half a unit in the last place of a double is 2**-53 of it; what is read here is wrong by less than four such.
_BELOW: Final = 1.0 - 2.0**-50
_ABOVE: Final = 1.0 + 2.0**-50
_LEAST: Final = 1e-37  # below it float32 has fewer bits
_MOST: Final = 3.4e38
_DIGITS: Final = 19  # always fit 64 bits
_EXACT_DIGITS: Final = 15
_EXACT_POWER: Final = 22
_LABEL_DIGITS: Final = 18
_MOST_POWER: Final = 60
_SHAPE_CHARS: Final = 64
#: Powers of ten, each the double nearest to it; exact up to 10**22.
POWERS: Final = np.array([float(f"1e{n}") for n in range(_MOST_POWER + 1)])

# Keys as little-endian numbers of their bytes.
_K_ID: Final = int.from_bytes(b"id", "little")
_K_TS: Final = int.from_bytes(b"ts", "little")
_K_MODEL: Final = int.from_bytes(b"model", "little")
_K_VERSION: Final = int.from_bytes(b"version", "little")
_K_CLIENT: Final = int.from_bytes(b"client", "little")
_K_INPUTS: Final = int.from_bytes(b"inputs", "little")
_K_OUTPUTS: Final = int.from_bytes(b"outputs", "little")
_K_SHAPE: Final = int.from_bytes(b"shape", "little")
_K_ROWS: Final = int.from_bytes(b"rows", "little")
_K_TAGS: Final = int.from_bytes(b"tags", "little")
_K_IP: Final = int.from_bytes(b"ip", "little")
_K_SCORES: Final = int.from_bytes(b"scores", "little")
_K_LABEL: Final = int.from_bytes(b"label", "little")
_K_VALUE: Final = int.from_bytes(b"value", "little")
_KEY_CHARS: Final = 7

# What a key is, by where it stands. Each has a bit of its own in ``seen``.
_IS_ID: Final = 1
_IS_TS: Final = 2
_IS_MODEL: Final = 3
_IS_VERSION: Final = 4
_IS_CLIENT: Final = 5
_IS_INPUTS: Final = 6
_IS_OUTPUTS: Final = 7
_IS_SHAPE: Final = 8
_IS_ROWS: Final = 9
_IS_TAGS: Final = 10
_IS_CLIENT_ID: Final = 11
_IS_CLIENT_IP: Final = 12
_IS_SCORES: Final = 13
_IS_LABEL: Final = 14
_IS_VALUE: Final = 15
_REQUIRED: Final = 1 << _IS_ID | 1 << _IS_TS | 1 << _IS_MODEL | 1 << _IS_INPUTS

# What comes next.
_FIRST_KEY: Final = 0  # or the end of the object
_KEY: Final = 1
_COLON: Final = 2
_VALUE: Final = 3
_FIRST_ITEM: Final = 4  # or the end of the array
_ITEM: Final = 5
_NEXT: Final = 6  # a comma, or the end of the object or array

# The objects.
_TOP: Final = 0
_IN_CLIENT: Final = 1
_IN_OUTPUTS: Final = 2


@kernel
def scan(
    raw: Array,
    ends: Array,
    max_bytes: int,
    powers: Array,
    so_far: Array,
    taken: Array,
    fields: Array,
    times: Array,
    values: Array,
    inputs: Array,
    scores: Array,
    texts: Array,
    lines: Array,
) -> None:
    """Read the records that are plain and sound in every character; leave the others to a real parser.

    Taken is an object of the known keys, each once, with texts of ASCII without escapes, flat arrays, and numbers of
    at most 19 digits that round to float32 alike wherever within 2**-50 of what was read they lie.

    Args:
        raw: records, one behind the other, and a byte that is none of their characters; ``ends``: of each.
        max_bytes: a longer record is left.
        powers: ``POWERS``.
        so_far: int64 ``(PLACES,)``, brought up to date: of several calls each goes on where the one before ended.
        taken: ``(n,)`` of the ``n`` records of all calls, set: was the record read?
        fields: int64 ``(WIDTH, n)``, set. times: float64 ``(n,)``, set; NaN where its text must be read exactly.
        values: float32 ``(n,)``, set where there is one.
        inputs, scores: float32, filled with the numbers of the records taken, one behind the other, NaN for null.
        texts: uint8, filled with what ``fields`` tells of.
        lines: uint8 ``(LINES, m)``, filled with a line for each record taken, empty where it has no such text.
    """
    one, zero, ten = np.uintp(1), np.uint8(48), np.uint64(10)
    lengths = np.zeros(LINES, dtype=np.int64)
    at_input, at_score, at_text = so_far[AT_INPUT], so_far[AT_SCORE], so_far[AT_TEXT]
    count, last, begin, r = so_far[TAKEN], so_far[LAST], 0, so_far[SEEN] - 1
    for end in ends:
        r += 1
        p: Any = begin
        begin = end
        taken[r] = False
        if end - p > max_bytes or p >= end or raw[p] != 123:  # {
            continue
        for f in range(WIDTH):
            fields[f, r] = -1
        first_input, first_score, first_text = at_input, at_score, at_text
        p += 1
        seen, where, key, array, want = 0, _TOP, 0, 0, _FIRST_KEY
        lengths[:] = 0
        closed = False
        while p < end:
            c = raw[p]
            if c == 32 or c == 10 or c == 13 or c == 9:
                p += 1
            elif closed:
                closed = False  # something follows
                break
            elif want == _NEXT:
                p += 1
                if c == 44:  # ,
                    want = _ITEM if array else _KEY
                elif array and c == 93:  # ]
                    array = 0
                elif not array and c == 125:  # }
                    closed = where == _TOP
                    where = _TOP
                else:
                    break
            elif want <= _KEY:
                if c == 125 and want == _FIRST_KEY:
                    p += 1
                    closed = where == _TOP
                    where, want = _TOP, _NEXT
                    continue
                if c != 34:  # "
                    break
                p += 1
                code, shift = 0, 0
                while p < end and raw[p] != 34 and shift < 8 * _KEY_CHARS:
                    code |= int(raw[p]) << shift
                    shift += 8
                    p += 1
                if p >= end or raw[p] != 34:
                    break
                p += 1
                key = 0
                if where == _TOP:
                    if code == _K_ID:
                        key = _IS_ID
                    elif code == _K_TS:
                        key = _IS_TS
                    elif code == _K_MODEL:
                        key = _IS_MODEL
                    elif code == _K_VERSION:
                        key = _IS_VERSION
                    elif code == _K_CLIENT:
                        key = _IS_CLIENT
                    elif code == _K_INPUTS:
                        key = _IS_INPUTS
                    elif code == _K_OUTPUTS:
                        key = _IS_OUTPUTS
                    elif code == _K_SHAPE:
                        key = _IS_SHAPE
                    elif code == _K_ROWS:
                        key = _IS_ROWS
                    elif code == _K_TAGS:
                        key = _IS_TAGS
                elif where == _IN_CLIENT:
                    if code == _K_ID:
                        key = _IS_CLIENT_ID
                    elif code == _K_IP:
                        key = _IS_CLIENT_IP
                elif code == _K_SCORES:
                    key = _IS_SCORES
                elif code == _K_LABEL:
                    key = _IS_LABEL
                elif code == _K_VALUE:
                    key = _IS_VALUE
                if key == 0 or seen >> key & 1:
                    break
                seen |= 1 << key
                want = _COLON
            elif want == _COLON:
                if c != 58:  # :
                    break
                p += 1
                want = _VALUE
            elif c == 34:  # a text
                if array:
                    break
                f, line = -1, -1
                if key == _IS_ID:
                    line = ID
                elif key == _IS_CLIENT_ID:
                    line = CLIENT_ID
                elif key == _IS_CLIENT_IP:
                    line = CLIENT_IP
                elif key == _IS_MODEL:
                    f = MODEL
                elif key == _IS_VERSION:
                    f = VERSION
                elif key == _IS_LABEL:
                    f = LABEL_NAME
                else:
                    break
                p += 1
                text = p
                while p < end and raw[p] != 34 and raw[p] != 92 and 32 <= raw[p] < 128:
                    p += 1
                if p >= end or raw[p] != 34:
                    break
                if line >= 0:
                    if p == text and line == CLIENT_IP:  # empty is not the same as absent
                        break
                    at = so_far[AT_LINE + line]
                    for i in range(text, p):
                        lines[line, at] = raw[i]
                        at += 1
                    lengths[line] = p - text
                else:
                    fields[f, r] = at_text
                    for i in range(text, p):
                        texts[at_text] = raw[i]
                        at_text += 1
                    fields[f + 1, r] = at_text
                p += 1
                want = _NEXT
            elif c == 123:
                if array:
                    break
                if key == _IS_CLIENT:
                    where = _IN_CLIENT
                elif key == _IS_OUTPUTS:
                    where = _IN_OUTPUTS
                else:
                    break
                p += 1
                want = _FIRST_KEY
            elif c == 91:  # [
                if array:
                    break
                p += 1
                if key == _IS_INPUTS:
                    array, want = 1, _FIRST_ITEM
                    fields[INPUTS, r] = 0
                elif key == _IS_SCORES:
                    array, want = 2, _FIRST_ITEM
                    fields[SCORES, r] = 0
                elif key == _IS_SHAPE:
                    text = p - 1
                    while p < end and (48 <= raw[p] <= 57 or raw[p] == 44 or raw[p] == 32 or 9 <= raw[p] <= 13):
                        p += 1
                    if p >= end or raw[p] != 93 or p - text > _SHAPE_CHARS:
                        break
                    p += 1
                    fields[SHAPE, r] = at_text
                    for i in range(text, p):
                        texts[at_text] = raw[i]
                        at_text += 1
                    fields[SHAPE + 1, r] = at_text
                    want = _NEXT
                else:
                    break
            elif c == 93 and want == _FIRST_ITEM:
                p += 1
                array, want = 0, _NEXT
            elif c == 110:  # null
                if p + 4 > end or raw[p + 1] != 117 or raw[p + 2] != 108 or raw[p + 3] != 108:
                    break
                if array == 1:
                    inputs[at_input] = np.nan
                    at_input += 1
                elif array == 2 or _REQUIRED >> key & 1:
                    break
                p += 4
                want = _NEXT
            else:
                u, limit, quick = np.uintp(p), np.uintp(end), False
                while array:
                    # Nearly all of a record are short decimals in an array: they have a loop of their own, which ends
                    # before whatever else there is. Unsigned places need not be looked at for being negative.
                    negative = raw[u] == 45
                    if negative:
                        u += one
                    first = u
                    mantissa = np.uint64(0)
                    digit = np.uint8(raw[u] - zero)
                    while digit < 10:
                        mantissa = mantissa * ten + np.uint64(digit)
                        u += one
                        digit = np.uint8(raw[u] - zero)
                    dot = u
                    if raw[u] == 46:  # .
                        u += one
                        digit = np.uint8(raw[u] - zero)
                        while digit < 10:
                            mantissa = mantissa * ten + np.uint64(digit)
                            u += one
                            digit = np.uint8(raw[u] - zero)
                    chars, after, c = np.int64(u - first), np.int64(u - dot), raw[u]
                    if (
                        (c != 44 and c != 93)
                        or u >= limit
                        or dot == first
                        or after == 1
                        or (raw[first] == 48 and dot - first > 1)
                        or (mantissa == 0 and negative)
                        or chars > _DIGITS
                    ):
                        break
                    places = np.uintp(after - 1) if after else np.uintp(0)
                    if chars <= _EXACT_DIGITS:
                        single = np.float32(float(np.int64(mantissa)) / powers[places])
                    else:
                        size = float(mantissa) / powers[places]
                        single = np.float32(size)
                        if np.float32(size * _BELOW) != single or np.float32(size * _ABOVE) != single:
                            break
                    if negative:
                        single = -single
                    if array == 1:
                        inputs[at_input] = single
                        at_input += 1
                    else:
                        scores[at_score] = single
                        at_score += 1
                    quick = True
                    u += one
                    if c == 93:
                        array = 0
                    else:
                        while raw[u] == 32:
                            u += one
                    p = np.int64(u)
                if quick:
                    want = _ITEM if array else _NEXT
                    continue
                number = p
                negative = c == 45
                if negative:
                    p += 1
                mantissa, digits, power, whole = np.uint64(0), 0, 0, True
                if p >= end or not 48 <= raw[p] <= 57:
                    break
                if raw[p] == 48:
                    p += 1
                else:
                    while p < end and 48 <= raw[p] <= 57:
                        mantissa = mantissa * ten + np.uint64(raw[p] - zero)
                        digits += 1
                        p += 1
                if p < end and raw[p] == 46:  # .
                    whole = False
                    p += 1
                    point = p
                    while p < end and 48 <= raw[p] <= 57:
                        mantissa = mantissa * ten + np.uint64(raw[p] - zero)
                        if mantissa != 0:
                            digits += 1
                        p += 1
                    power = point - p
                    if power == 0:
                        break
                if p < end and (raw[p] == 101 or raw[p] == 69):  # e, E
                    whole = False
                    p += 1
                    less = p < end and raw[p] == 45
                    if p < end and (raw[p] == 45 or raw[p] == 43):
                        p += 1
                    point, exponent = p, 0
                    while p < end and 48 <= raw[p] <= 57:
                        exponent = min(exponent * 10 + int(raw[p]) - 48, 1000)
                        p += 1
                    if point == p:
                        break
                    power += -exponent if less else exponent
                if digits > _DIGITS or abs(power) > _MOST_POWER or (negative and mantissa == 0):
                    break
                size = float(mantissa)
                size = size / powers[-power] if power < 0 else size * powers[power]
                if not array and key == _IS_TS:
                    exact = digits <= _EXACT_DIGITS and abs(power) <= _EXACT_POWER
                    times[r] = (-size if negative else size) if exact else np.nan
                    if not exact:
                        fields[TS, r] = at_text
                        for i in range(number, p):
                            texts[at_text] = raw[i]
                            at_text += 1
                        fields[TS + 1, r] = at_text
                elif not array and key == _IS_LABEL:
                    if not whole or digits > _LABEL_DIGITS:
                        break
                    fields[LABEL, r] = -int(mantissa) if negative else int(mantissa)
                    fields[HAS_LABEL, r] = 1
                elif not array and key == _IS_ROWS:
                    if not whole or negative or mantissa != 1:
                        break
                else:
                    low, high = np.float32(size * _BELOW), np.float32(size * _ABOVE)
                    if low != high or (mantissa != 0 and size < _LEAST) or size > _MOST:
                        break
                    if negative:
                        low = -low
                    if array == 1:
                        inputs[at_input] = low
                        at_input += 1
                    elif array == 2:
                        scores[at_score] = low
                        at_score += 1
                    elif key == _IS_VALUE:
                        values[r] = low
                        fields[HAS_VALUE, r] = 1
                    else:
                        break
                want = _NEXT
        if closed and seen & _REQUIRED == _REQUIRED:
            for f, of in ((MODEL, MODEL_OF), (VERSION, VERSION_OF), (SHAPE, SHAPE_OF)):
                text, length = fields[f, r], fields[f + 1, r] - fields[f, r]
                same = count > 0 and fields[f + 1, last] - fields[f, last] == length
                for i in range(length):
                    if not same:
                        break
                    same = texts[text + i] == texts[fields[f, last] + i]
                fields[of, r] = fields[of, last] if same else r
            last = r
            for line in range(LINES):
                at = so_far[AT_LINE + line] + lengths[line]
                lines[line, at] = 10
                so_far[AT_LINE + line] = at + 1
            taken[r] = True
            count += 1
            fields[INPUTS, r] = at_input - first_input
            if fields[SCORES, r] == 0:
                fields[SCORES, r] = at_score - first_score
        else:
            at_input, at_score, at_text = first_input, first_score, first_text
    so_far[AT_INPUT], so_far[AT_SCORE], so_far[AT_TEXT] = at_input, at_score, at_text
    so_far[TAKEN], so_far[LAST], so_far[SEEN] = count, last, r + 1

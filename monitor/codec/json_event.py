"""The JSON form: one object, one event."""

from __future__ import annotations

from typing import Final, cast

import msgspec

from monitor.codec.assemble import assemble
from monitor.codec.depth import nests_deeper
from monitor.codec.limits import MAX_DEPTH, Limits
from monitor.codec.tensors import from_list, to_list
from monitor.codec.wire import Client, JsonEvent, JsonOutputs, Labels, rejection_of, required
from monitor.event import Event, Reason, Rejection

_DECODER: Final = msgspec.json.Decoder(JsonEvent)
_ENCODER: Final = msgspec.json.Encoder()
_NO_OUTPUTS: Final = JsonOutputs()


def decode_json(raw: bytes, limits: Limits, now: float | None) -> Event:
    """One event. Unknown fields are ignored; of a repeated key the last counts.

    Args:
        raw: UTF-8 text of one JSON object.
        limits: size, rows and clock limits.
        now: wall clock, epoch seconds, against which the future is judged; None judges nothing.

    Raises:
        Rejection: the record is no event.
    """
    wire = _parse(raw, limits)
    outputs = wire.outputs or _NO_OUTPUTS
    value = [outputs.value] if isinstance(outputs.value, float) else outputs.value
    return assemble(
        limits=limits,
        now=now,
        id=required(wire.id, "id"),
        ts=cast("float | str", required(wire.ts, "ts")),  # mypy solves the union to object
        model=required(wire.model, "model"),
        version=wire.version,
        client=wire.client,
        inputs=from_list(required(wire.inputs, "inputs"), "inputs", missing=True),
        shape=wire.shape,
        rows=wire.rows,
        scores=None if outputs.scores is None else from_list(outputs.scores, "outputs.scores"),
        label=outputs.label,
        value=None if value is None else from_list(value, "outputs.value"),
        embedding=None if wire.embedding is None else from_list(wire.embedding, "embedding"),
        tags=wire.tags,
    )


def _parse(raw: bytes, limits: Limits) -> JsonEvent:
    if len(raw) > limits.max_bytes:
        raise Rejection(Reason.TOO_LARGE, f"record has {len(raw)} bytes; at most {limits.max_bytes}")
    if nests_deeper(raw, MAX_DEPTH):
        raise Rejection(Reason.TOO_DEEP, f"nests too deep; at most {MAX_DEPTH} levels")
    try:
        if not raw.isascii():
            raw.decode()  # the parser skips unknown fields without looking at their encoding
        return _DECODER.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise rejection_of(error) from None


def encode_json(event: Event) -> bytes:
    """The event as one JSON object without line breaks, numbers in their shortest form. ``decode_json`` undoes it."""
    outputs = JsonOutputs(
        scores=None if event.scores is None else to_list(event.scores),  # type: ignore[arg-type]  # list is invariant
        label=labels_to_wire(event),
        value=_scalar_if_one(event),
    )
    client = Client(id=event.client_id or None, ip=event.client_ip or None)
    wire = JsonEvent(
        id=event.id,
        ts=event.ts,
        model=event.model,
        version=event.version or None,
        client=client if event.client_id or event.client_ip else None,
        inputs=to_list(event.x),  # the encoder writes NaN as null
        shape=list(event.shape) if len(event.shape) > 1 else None,
        rows=event.rows if event.rows > 1 else None,
        outputs=outputs if outputs != _NO_OUTPUTS else None,
        embedding=None if event.embedding is None else to_list(event.embedding),  # type: ignore[arg-type]  # same
        tags=event.tags or None,
    )
    return _ENCODER.encode(wire)


def labels_to_wire(event: Event) -> Labels | None:
    """The served labels as either encoding carries them: one for one row, else a list; None if there are none."""
    if event.labels is None:
        return None
    served: list[int | str] = list(event.label_names) if event.label_names else event.labels.tolist()
    return served[0] if event.rows == 1 else served


def _scalar_if_one(event: Event) -> float | list[float] | None:
    if event.values is None:
        return None
    values = to_list(event.values)
    return values[0] if event.rows == 1 else values

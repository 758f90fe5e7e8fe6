"""Structured logs by structlog; Faust's and the clients' own log lines go through the same renderer."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from monitor.settings import Logging

_MAX_TEXT = 2000
#: Loggers of the clients, kept to warnings.
NOISY = ("aiokafka", "kafka", "faust", "mode", "asyncio", "slack_sdk")
_MAX_TRACEBACK = 20_000


def setup(settings: Logging) -> None:
    """Configure structlog and the standard library's root logger to write to standard error."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _harmless,
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if settings.format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.PositionalArgumentsFormatter()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.level.upper())
    # The clients repeat every reconnect at INFO; Vedette says once what matters.
    for noisy in NOISY:
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))


def _harmless(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Client ids and model names are hostile: no line breaks, no terminal escapes, no endless strings."""
    for key, value in event.items():
        if isinstance(value, str):
            # A traceback has lines, and its end says most; what it quotes is as hostile as anything.
            traceback = key == "exception"
            clean = "".join(c if c.isprintable() or (traceback and c == "\n") else _escaped(c) for c in value)
            if traceback:
                event[key] = clean if len(clean) <= _MAX_TRACEBACK else "…" + clean[-_MAX_TRACEBACK:]
            else:
                event[key] = clean if len(clean) <= _MAX_TEXT else clean[:_MAX_TEXT] + "…"
    return event


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode()

"""Everything that keeps a worker from working, found at once: its machine, the broker, topics, rights, the group."""

from __future__ import annotations

import time

from kafka import errors as kafka_errors

from monitor.check_group import check_group
from monitor.check_host import check_host
from monitor.check_topics import check_topics
from monitor.errors import UserError
from monitor.kafka_connect import BrokerUnreachable, KafkaProblem, admin_client
from monitor.problem import Problem
from monitor.secret import CredentialsError
from monitor.settings import Settings

__all__ = ["Problem", "check", "startup_error"]


def check(
    settings: Settings,
    *,
    load_baseline: bool = True,
    unreachable_is_error: bool = True,
    now: float | None = None,
    timeout_s: float = 10.0,
) -> list[Problem]:
    """All problems, those of this machine first. Changes nothing, neither here nor on the broker.

    Args:
        load_baseline: False where the caller has loaded the core already.
        unreachable_is_error: False where the caller waits for a broker that is not up yet.
        now: wall clock, epoch seconds.
        timeout_s: for each step with the broker.

    Raises:
        BrokerUnreachable: no broker answers, or not to the end, with ``unreachable_is_error=False``.
    """
    found = list(check_host(settings, time.time() if now is None else now, load=load_baseline))
    try:
        with admin_client(settings.kafka, timeout_s) as admin:
            found += check_topics(settings, admin)
            try:
                found += check_group(settings, admin)
            except kafka_errors.KafkaError as error:
                if not (unreachable_is_error or isinstance(error, kafka_errors.AuthorizationError)):
                    raise  # a broker that goes down or comes up just now: who waits for it asks again
                what = f"group {settings.kafka.group} cannot be looked up: {error}"
                found.append(Problem("error", "kafka.group", what, "see the broker's log"))
    except CredentialsError as error:
        found.append(Problem("error", "kafka", str(error), "secrets are read from a variable or a file"))
    except KafkaProblem as error:
        if isinstance(error, BrokerUnreachable) and not unreachable_is_error:
            raise
        found.append(Problem("error", "kafka.brokers", str(error), "see docs/operations.md, start-up errors"))
    return found


def startup_error(problems: list[Problem]) -> UserError | None:
    """All errors as one; None if only warnings are there."""
    errors = [p for p in problems if p.level == "error"]
    if not errors:
        return None
    lines = "\n".join(f"  {p}" for p in errors)
    return UserError(f"cannot start: {len(errors)} error{'s' if len(errors) != 1 else ''}\n{lines}")

"""What the outbox hands to a channel, and how a channel says that it could not deliver."""

from __future__ import annotations

from typing import Final, Protocol

import msgspec

from responders.notice import Notice

SEVERITIES: Final = ("low", "medium", "high", "critical")


def severity_rank(severity: str) -> int:
    """0 for ``low`` to 3 for ``critical``; 0 for a name that is none of the four."""
    return SEVERITIES.index(severity) if severity in SEVERITIES else 0


class Pending(msgspec.Struct, frozen=True):
    """A message that is due.

    Attributes:
        notice: what to say now.
        sent: what was last delivered, or None if this would be the first message about the incident.
        remote_ref: what ``Channel.send`` returned last; "" at first.
        attempts: failed tries since the last delivery.
        uncertain: a try was cut short, so the notice may have arrived without our knowing.
        first_queued_at: wall clock, seconds since the epoch.
    """

    channel: str
    notice: Notice
    sent: Notice | None
    remote_ref: str
    attempts: int
    uncertain: bool
    first_queued_at: float


class SendError(Exception):
    """A delivery that failed, and what that says about the next try.

    Attributes:
        permanent: it will fail again until a person changes something (credentials, channel, address).
        whole_channel: it says something about the service, so its other messages wait too; False if only this message
            was refused.
        retry_after_s: the service named its own delay.
        uncertain: the message may have arrived nevertheless.
    """

    def __init__(
        self,
        detail: str,
        *,
        permanent: bool = False,
        whole_channel: bool = True,
        retry_after_s: float | None = None,
        uncertain: bool = False,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.permanent = permanent
        self.whole_channel = whole_channel
        self.retry_after_s = retry_after_s
        self.uncertain = uncertain


class Channel(Protocol):
    """One way to reach people. Never sleeps or retries by itself: the outbox decides when to try again.

    Attributes:
        update_interval_s: least time between two updates where each is a message of its own; 0 where they are not. A
            change of status or a rise in severity does not wait.
    """

    update_interval_s: float

    async def send(self, item: Pending) -> str:
        """Deliver the notice, updating the earlier message if there is one; returns the new ``remote_ref``.

        Raises SendError. Secrets appear in no error.
        """
        ...

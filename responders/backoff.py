"""How long a message that failed waits. Pure."""

from __future__ import annotations

from typing import Final

from responders.channel import SendError
from responders.retry import RetryPolicy

#: While a service is down or refuses for the moment: 1, 2, 4 … 300 s, without end.
TRANSIENT: Final = RetryPolicy()
#: Delay after a refusal that only a person can cure.
PERMANENT_RETRY_S: Final = 900.0
#: What a service may ask for at most; beyond it we ask again.
MAX_RETRY_AFTER_S: Final = 3600.0


def retry_delay_s(error: SendError, failures: int) -> float:
    """Seconds until the next try after that many failures in a row.

    What the service asked for (1 to 3600 s) if it did; else 900 s if the failure is permanent; else min(2ⁿ⁻¹, 300) s.
    """
    if error.retry_after_s is not None:
        return min(max(error.retry_after_s, TRANSIENT.first_s), MAX_RETRY_AFTER_S)
    return PERMANENT_RETRY_S if error.permanent else TRANSIENT.delay_s(failures)

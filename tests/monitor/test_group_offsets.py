"""Where the group has read to: a coordinator that is not ready yet is waited for."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from kafka import TopicPartition
from kafka.errors import (
    CoordinatorLoadInProgressError,
    CoordinatorNotAvailableError,
    GroupAuthorizationFailedError,
    KafkaError,
    NotCoordinatorError,
)

from monitor import group_offsets
from monitor.group_offsets import committed


class Admin:
    """Answers with each of the errors, then with offsets."""

    def __init__(self, *errors: type[KafkaError]) -> None:
        self._errors = list(errors)

    def list_group_offsets(self, groups: dict[str, None]) -> object:
        if self._errors:
            raise self._errors.pop(0)()
        read = {TopicPartition("t", 0): SimpleNamespace(offset=7), TopicPartition("t", 1): SimpleNamespace(offset=-1)}
        return dict.fromkeys(groups, read)


@pytest.mark.parametrize("error", [CoordinatorNotAvailableError, CoordinatorLoadInProgressError, NotCoordinatorError])
def test_a_coordinator_that_is_not_ready_is_asked_again(
    error: type[KafkaError], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_offsets, "_PAUSE_S", 0.0)
    assert committed(Admin(error, error), "g") == {TopicPartition("t", 0): 7}
    with pytest.raises(error):
        committed(Admin(*[error] * 100), "g")


def test_a_refusal_is_no_reason_to_wait() -> None:
    with pytest.raises(GroupAuthorizationFailedError):
        committed(Admin(GroupAuthorizationFailedError), "g")

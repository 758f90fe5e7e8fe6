"""A worker that died is still in the consumer group until its session ends. Its successor says that it is gone."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec
import structlog
from kafka.admin import MemberToRemove

from monitor.errors import UserError
from monitor.kafka_connect import admin_client
from monitor.role import Role
from monitor.settings import Kafka

log = structlog.get_logger("vedette.succession")

_TIMEOUT_S: Final = 10.0


class _Member(msgspec.Struct, frozen=True):
    brokers: tuple[str, ...]
    group: str
    id: str


class Succession:
    """A file that says which member of the group this worker is, held for as long as the process lives.

    The kernel lets go of it when its holder dies, so whoever gets it knows that the member in it is dead, and need not
    wait out its session: it makes it leave (LeaveGroup, as the member itself does when it stops). Should it live after
    all, on another machine with a copy of the folder, the broker refuses what it commits, and it joins again, as after
    any pause.

    A convenience: where it cannot be done (no such file yet, another holder, a broker that does not answer), the
    session ends by itself.
    """

    def __init__(self, path: Path, kafka: Kafka) -> None:
        self._path = path
        self._kafka = kafka
        self._role = Role(path)

    def take_over(self) -> None:
        """Before this worker joins: make the member that went by this name before leave the group."""
        try:
            if not self._role.try_take():
                log.warning("another worker goes by this name", file=str(self._path))
                return
            written = self._path.read_bytes()
        except OSError as error:
            log.warning("no file for the place in the group", file=str(self._path), error=str(error))
            return
        try:
            late = msgspec.json.decode(written, type=_Member)
        except msgspec.DecodeError:
            return  # the first of its name, or one that died while it wrote
        if (late.brokers, late.group) != (self._kafka.brokers, self._kafka.group):
            return
        try:
            with admin_client(self._kafka, timeout_s=_TIMEOUT_S) as admin:
                admin.remove_group_members(late.group, [MemberToRemove(member_id=late.id)])
        except UserError as error:
            log.warning("the group waits for the session of the last worker to end", error=str(error))
            return
        log.info("the last worker of this name has left the group", member=late.id)

    def joined(self, member_id: str) -> None:
        """This worker is that member now."""
        if not self._role.held:
            return
        try:
            self._path.write_bytes(msgspec.json.encode(_Member(self._kafka.brokers, self._kafka.group, member_id)))
        except OSError as error:
            log.warning("the place in the group was not written down", file=str(self._path), error=str(error))

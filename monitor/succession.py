"""A worker that died is still in the consumer group until its session ends. Its successor says that it is gone."""

from __future__ import annotations

import asyncio
import re
import uuid
from pathlib import Path
from typing import Final

import structlog
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from kafka.admin import MemberToRemove

from monitor.errors import UserError
from monitor.kafka_auth import client_options
from monitor.kafka_connect import admin_client
from monitor.role import Role
from monitor.settings import Kafka

log = structlog.get_logger("vedette.succession")

_TIMEOUT_S: Final = 10.0
_NAME: Final = re.compile(r"vedette-[0-9a-f]{32}")


class Succession:
    """A file with a worker's name, its client id at the broker, held for as long as the process lives.

    The kernel lets go of it when its holder dies, so whoever gets it knows that members of the group with that name
    are dead, and need not wait out their sessions: it makes them leave (LeaveGroup, as a member itself does when it
    stops). Should such a member live after all, on another machine with a copy of the folder, the broker refuses what
    it commits, and it joins again, as after any pause.

    A convenience: where it cannot be done (a new folder, another holder, a broker that does not answer), sessions end
    by themselves. So they do in the embedded broker, which says of no member whose it is; as well, for a group in which
    one is made to leave while another joins may never come together again there.
    """

    def __init__(self, path: Path, kafka: Kafka) -> None:
        self._path = path
        self._kafka = kafka
        self._role = Role(path)

    def take_over(self) -> str:
        """Before this worker joins: its client id; members that went by it before have left the group."""
        name = f"vedette-{uuid.uuid4().hex}"
        try:
            if not self._role.try_take():
                log.warning("another worker has this file, and its name", file=str(self._path))
                return name
            known = self._path.read_text(encoding="utf-8", errors="replace")
            if not _NAME.fullmatch(known):
                self._path.write_text(name, encoding="utf-8")
                return name
        except OSError as error:
            log.warning("this worker's name could not be kept", file=str(self._path), error=str(error))
            return name
        try:
            self._bury(known)
        except (UserError, KafkaError, OSError) as error:
            log.warning("the group waits for the session of the last worker to end", error=str(error))
        return known

    def _bury(self, name: str) -> None:
        late = asyncio.run(self._members(name))
        if late:
            with admin_client(self._kafka, timeout_s=_TIMEOUT_S) as admin:
                admin.remove_group_members(self._kafka.group, [MemberToRemove(member_id=member) for member in late])
            log.info("the last worker of this name has left the group", members=late)

    async def _members(self, name: str) -> list[str]:
        # kafka-python has the request, too, but reads no answer of the embedded broker
        admin = AIOKafkaAdminClient(**client_options(self._kafka), request_timeout_ms=int(_TIMEOUT_S * 1000))
        try:
            await admin.start()
            answers = await admin.describe_consumer_groups([self._kafka.group])
        finally:
            await admin.close()
        groups = [group for answer in answers for group in answer.to_object()["groups"]]
        members = [member for group in groups for member in group["members"]]
        return [str(member["member_id"]) for member in members if member["client_id"] == name]

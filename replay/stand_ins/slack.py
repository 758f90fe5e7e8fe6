"""Slack's Web API and an incoming webhook on loopback: posts, updates, threads, limits, and failures on demand."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from replay.stand_ins.block_kit import within_limits
from replay.stand_ins.observable import Observable

TOKEN = "xoxb-stand-in"  # noqa: S105 - opens nothing but this stand-in
_WEBHOOK_PATH = "/services/T00000000/B00000000/stand-in"
_SCOPES = {"chat.postMessage": "chat:write", "chat.update": "chat:write"}


@dataclass(slots=True)
class Post:
    """A message as the channel shows it now; ``edits`` counts its updates."""

    channel: str
    ts: str
    text: str
    blocks: list[dict[str, Any]]
    metadata: dict[str, Any] | None
    thread_ts: str
    broadcast: bool
    edits: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """What the next request gets instead of being served: an HTTP status, or Slack's name for an error."""

    status: int = 200
    error: str = ""
    retry_after: str = ""


class SlackStandIn(Observable):
    """An async context manager; ``stop`` and ``start`` again keep the port, like a service that was down.

    Args:
        channels: id → name.
        scopes: what the token may do.
        on_post: called when a message is in or updated, before the service says so.
    """

    def __init__(
        self,
        channels: Mapping[str, str] | None = None,
        scopes: frozenset[str] = frozenset({"chat:write"}),
        on_post: Callable[[Post], None] = lambda _: None,
        port: int = 0,
    ) -> None:
        super().__init__()
        self.port = port
        self.posts: list[Post] = []
        #: Method names as they came; ``webhook`` for the webhook.
        self.calls: list[str] = []
        self._channels = dict(channels or {"C0SECURITY": "security"})
        self._scopes = scopes
        self._on_post = on_post
        self._answers: deque[Answer] = deque()
        self._runner: web.AppRunner | None = None
        self._last_ts = 0.0

    async def __aenter__(self) -> SlackStandIn:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api/"

    @property
    def webhook_url(self) -> str:
        return f"http://127.0.0.1:{self.port}{_WEBHOOK_PATH}"

    async def start(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/api/{method}", self._api)
        app.router.add_post(_WEBHOOK_PATH, self._webhook)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def answer(self, *answers: Answer) -> None:
        """What the next requests get, one each."""
        self._answers.extend(answers)

    def messages(self) -> list[Post]:
        """What stands in the channels, without the threads."""
        return [post for post in self.posts if not post.thread_ts]

    async def _api(self, request: web.Request) -> web.Response:
        method = request.match_info["method"]
        self.calls.append(method)
        body = await (request.json() if request.content_type == "application/json" else request.post())
        if self._answers:
            return _refusal(self._answers.popleft())
        answer = self._call(method, {**request.query, **body}, request.headers.get("Authorization", ""))
        await self._announce()
        return web.json_response(answer)

    async def _webhook(self, request: web.Request) -> web.Response:
        self.calls.append("webhook")
        body = await request.json()
        if self._answers:
            answer = self._answers.popleft()
            return web.Response(status=answer.status, text=answer.error, headers=_headers(answer))
        if not within_limits(body.get("blocks", [])):
            return web.Response(status=400, text="invalid_blocks")
        self._post(next(iter(self._channels)), body)
        await self._announce()
        return web.Response(text="ok")

    def _call(self, method: str, body: dict[str, Any], authorization: str) -> dict[str, Any]:
        if authorization != f"Bearer {TOKEN}":
            return {"ok": False, "error": "invalid_auth"}
        if method == "conversations.list":
            return {"ok": True, "channels": [{"id": i, "name": n} for i, n in self._channels.items()]}
        needed = _SCOPES.get(method, "channels:history")
        if needed not in self._scopes:
            return {"ok": False, "error": "missing_scope", "needed": needed}
        channel = self._channel_id(str(body.get("channel", "")))
        if channel is None:
            return {"ok": False, "error": "channel_not_found"}
        if not within_limits(body.get("blocks", [])):
            return {"ok": False, "error": "invalid_blocks"}
        if method == "chat.postMessage":
            post = self._post(channel, body)
            return {"ok": True, "channel": channel, "ts": post.ts}
        if method == "chat.update":
            return self._update(channel, body)
        if method == "conversations.history":
            return self._history(channel, body)
        return {"ok": False, "error": "unknown_method"}

    def _channel_id(self, named: str) -> str | None:
        if named in self._channels:
            return named
        return next((i for i, name in self._channels.items() if named in (name, f"#{name}")), None)

    def _post(self, channel: str, body: dict[str, Any]) -> Post:
        self._last_ts = max(time.time(), self._last_ts + 1e-6)
        post = Post(
            channel=channel,
            ts=f"{self._last_ts:.6f}",
            text=str(body.get("text", "")),
            blocks=body.get("blocks", []),
            metadata=body.get("metadata"),
            thread_ts=str(body.get("thread_ts", "")),
            broadcast=bool(body.get("reply_broadcast")),
        )
        self.posts.append(post)
        self._on_post(post)
        return post

    def _update(self, channel: str, body: dict[str, Any]) -> dict[str, Any]:
        post = next((p for p in self.posts if (p.channel, p.ts) == (channel, body.get("ts"))), None)
        if post is None:
            return {"ok": False, "error": "message_not_found"}
        post.text, post.blocks, post.metadata = str(body.get("text", "")), body["blocks"], body.get("metadata")
        post.edits += 1
        self._on_post(post)
        return {"ok": True, "channel": channel, "ts": post.ts}

    def _history(self, channel: str, body: dict[str, Any]) -> dict[str, Any]:
        found = [p for p in self.messages() if p.channel == channel and float(p.ts) > float(body.get("oldest", 0))]
        # Form parameters are strings: booleans come as 0 and 1.
        metadata = str(body.get("include_all_metadata", "0")) in ("1", "True")
        newest = [{"ts": p.ts, "text": p.text, **({"metadata": p.metadata} if metadata else {})} for p in found[::-1]]
        return {"ok": True, "messages": newest[: int(body.get("limit", 100))], "has_more": False}


def _refusal(answer: Answer) -> web.Response:
    if answer.status != 200:
        return web.Response(status=answer.status, text=answer.error, headers=_headers(answer))
    return web.json_response({"ok": False, "error": answer.error})


def _headers(answer: Answer) -> dict[str, str]:
    return {"Retry-After": answer.retry_after} if answer.retry_after else {}

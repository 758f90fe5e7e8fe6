"""The writer's thread: in order, whatever fails, and to the end."""

from __future__ import annotations

import asyncio
import threading

import pytest

from monitor.writer import Writer


async def test_one_after_another_while_the_loop_goes_on() -> None:
    writer, may, done = Writer(), threading.Event(), list[int]()
    futures = [writer.put(may.wait), *(writer.put(done.append, n) for n in range(100))]
    await asyncio.sleep(0)
    assert not done
    may.set()
    await asyncio.gather(*futures)
    assert done == list(range(100))
    writer.close()


async def test_what_fails_is_raised_to_whoever_waits_for_it() -> None:
    writer = Writer()
    failing, later = writer.put(int, "x"), writer.put(int, "2", base=8)
    with pytest.raises(ValueError, match="invalid literal"):
        await failing
    assert await later == 2
    writer.close()


async def test_what_was_put_before_the_end_is_done() -> None:
    writer, may, done = Writer(), threading.Event(), list[int]()
    writer.put(may.wait)
    last = writer.put(done.append, 1)
    may.set()
    writer.close()
    assert done == [1]
    await last
    with pytest.raises(RuntimeError):
        writer.put(done.append, 2)

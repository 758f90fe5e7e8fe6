"""After warming up, traffic finds every loop compiled, and nothing of the made-up requests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from monitor.core import load_core
from monitor.engine import Engine
from monitor.event import Event
from monitor.settings import Detection, Settings
from monitor.warm_up import warm_up

#: In a process of its own, where nothing has been compiled or read from disk before.
FRESH = """
import sys
from itertools import cycle
import numba
made = {}
njit = numba.njit
def noted(*functions, **options):
    if functions:
        return njit(*functions, **options)  # one of Numba's own
    def compile(function):
        made[function.__module__, function.__name__] = dispatcher = njit(**options)(function)
        return dispatcher
    return compile
numba.njit = noted
from monitor.codec import decode_records, encode_json
from monitor.codec.limits import Limits
from monitor.core import load_core
from monitor.engine import Engine
from monitor.settings import Detection, Settings
from monitor.warm_up import warm_up
from replay.demo.workspace import shipped
from replay.in_process import replay_in_process
from replay.recording import read_recording
def forms():
    return {name: len(dispatcher.signatures) for name, dispatcher in made.items()}
core = load_core(Settings(detection=Detection(baseline=sys.argv[1])))
warm_up(core)
warm = forms()
assert len(warm) > 20, warm
events = list(read_recording(shipped("demo.jsonl.zst")))[:4000]
records = [encode_json(event) for event in events]
decoded = decode_records(records, Limits())
assert not decoded.rejections
assert replay_in_process(decoded.events, core).findings
engine = Engine(core, 1)
engine.assign(0, {})
at, findings = 0, []
for size in cycle((1, 5, 60, 300)):
    some, at = records[at : at + size], at + size
    if not some:
        break
    findings += engine.step(0, decode_records(some, Limits()).events).findings
    engine.close_windows()
    engine.delta()
    engine.partitions[0].sweep()
assert findings
for panel in engine.partitions[0]._panels.values():
    assert len(panel) > 10
    panel.sweep(events[-1].ts + 1e6)
    assert not len(panel)  # all are forgotten, and their memory has been packed
print({name: n for name, n in forms().items() if n != warm.get(name)})
"""


def test_traffic_finds_every_loop_compiled(baseline: Path) -> None:
    told = subprocess.run([sys.executable, "-c", FRESH, str(baseline)], capture_output=True, text=True, timeout=300)
    assert told.returncode == 0, told.stderr
    assert told.stdout.splitlines()[-1] == "{}", "compiled while events waited"


def test_nothing_of_it_is_kept(baseline: Path, events: list[Event]) -> None:
    def judged(*, warm: bool) -> list[tuple[str, str, bytes | None]]:
        core = load_core(Settings(detection=Detection(baseline=str(baseline))))
        if warm:
            warm_up(core)
        engine = Engine(core, 1)
        engine.assign(0, {})
        engine.step(0, events[:300])
        return engine.delta()

    assert judged(warm=True) == judged(warm=False)

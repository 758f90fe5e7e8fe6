"""Consume a topic with Quix Streams and count; prints {"records", "seconds"}. Runs in an environment of its own.

    python quix_consume.py BOOTSTRAP TOPIC COUNT

Keys and values stay bytes; the clock runs from the first record to the last.
"""

import json
import sys
import tempfile
import time
import uuid

from quixstreams import Application


def main() -> None:
    bootstrap, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    seen, started, ended = 0, 0.0, 0.0

    def note(_value: bytes) -> None:
        nonlocal seen, started, ended
        seen += 1
        if seen == 1:
            started = time.perf_counter()
        elif seen == count:
            ended = time.perf_counter()

    with tempfile.TemporaryDirectory() as state:
        app = Application(
            broker_address=bootstrap,
            consumer_group=f"quix-{uuid.uuid4().hex}",
            auto_offset_reset="earliest",
            state_dir=state,
            auto_create_topics=False,
            loglevel="ERROR",
        )
        topic = app.topic(name, key_deserializer="bytes", value_deserializer="bytes")
        app.dataframe(topic).update(note)
        app.run(count=count)
    print(json.dumps({"records": count - 1, "seconds": ended - started}))


if __name__ == "__main__":
    main()

"""A small model server that reports what it serves: the example for wiring a server of your own to Vedette.

    python deploy/model_server.py --kafka localhost:9092 --port 8000
    curl -s localhost:8000/predict -H 'X-Client: me' -d '{"inputs": [0, 0, ..., 0]}'     # 64 pixels in [0, 1]

Serves the very digits model that the shipped recordings come from, so that their baseline fits. Each answer is also an
event (docs/event-format.md) on the topic, keyed by its client. Serving never waits for Kafka.
"""

from __future__ import annotations

import argparse
import json
import math
import signal
import sys
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from kafka import KafkaProducer

from monitor.errors import UserError
from monitor.kafka_admin import ensure_topics
from monitor.settings import Kafka, Topic
from replay.simulate.served import ServedModel, served_model

MAX_BODY_BYTES = 64 * 1024
PIXELS = 64


class ModelServer(ThreadingHTTPServer):
    """HTTP in front, the model inside, events out of the back."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], model: ServedModel, producer: KafkaProducer, topic: str) -> None:
        super().__init__(address, Handler)
        self._model, self._producer, self._topic = model, producer, topic
        self._predicting = threading.Lock()

    def answer(self, inputs: list[float], client_id: str, client_ip: str) -> dict[str, Any]:
        """Label and scores, and the event on its way."""
        with self._predicting:
            scores = self._model.scores(inputs)[0].tolist()
        outputs = {"scores": scores, "label": int(max(range(len(scores)), key=scores.__getitem__))}
        event = {
            "id": uuid.uuid4().hex,
            "ts": time.time(),
            "model": self._model.name,
            "version": self._model.version,
            "client": {"id": client_id, "ip": client_ip} if client_id else {"ip": client_ip},
            "inputs": inputs,
            "shape": [8, 8],
            "outputs": outputs,
        }
        key = f"client:{client_id}" if client_id else f"ip:{client_ip}"
        sent = self._producer.send(self._topic, key=key.encode(), value=json.dumps(event).encode())
        sent.add_errback(lambda error: print(f"event {event['id']} lost: {error!r}", file=sys.stderr))
        return {"id": event["id"], **outputs}


class Handler(BaseHTTPRequestHandler):
    """``POST /predict`` and ``GET /healthz``."""

    protocol_version = "HTTP/1.1"
    timeout = 30
    server: ModelServer

    def do_GET(self) -> None:
        if self.path == "/healthz":
            self._reply(200, {"status": "ok"})
        else:
            self._reply(404, {"error": "POST /predict"})

    def do_POST(self) -> None:
        if self.path != "/predict":
            self._reply(404, {"error": "POST /predict"})
            return
        try:
            inputs, client = self._inputs(), self._client()
        except ValueError as error:
            self.close_connection = True  # the body may not have been read
            self._reply(400, {"error": str(error)})
            return
        self._reply(200, self.server.answer(inputs, client, self.client_address[0]))

    def _inputs(self) -> list[float]:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or not 0 < int(length) <= MAX_BODY_BYTES:
            raise ValueError(f"a body of 1 to {MAX_BODY_BYTES} bytes is needed")
        try:
            body = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError):
            raise ValueError("the body is not JSON") from None
        inputs = body.get("inputs") if isinstance(body, dict) else None
        if not isinstance(inputs, list) or len(inputs) != PIXELS:
            raise ValueError(f"inputs: {PIXELS} numbers are needed")
        if not all(type(v) in (int, float) and math.isfinite(v) and 0 <= v <= 1 for v in inputs):
            raise ValueError("inputs: numbers from 0 to 1 are needed")
        return [float(v) for v in inputs]

    def _client(self) -> str:
        """Who asks. A real server takes this from its authentication, never from what the client claims."""
        client = self.headers.get("X-Client", "")
        if len(client) > 256 or not client.isprintable():
            raise ValueError("X-Client: at most 256 printable characters")
        return client

    def _reply(self, status: int, body: dict[str, Any]) -> None:
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet: the events are the log."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kafka", default="localhost:9092", help="broker, HOST:PORT")
    parser.add_argument("--topic", default="inference-events")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=8000)
    asked = parser.parse_args()
    try:
        ensure_topics(Kafka(brokers=(asked.kafka,)), [Topic(asked.topic)])
    except UserError as error:
        parser.exit(1, f"model_server: {error}\n")
    producer = KafkaProducer(bootstrap_servers=asked.kafka, linger_ms=5, max_block_ms=1000)
    server = ModelServer((asked.host, asked.port), served_model("digits"), producer, asked.topic)

    def stop(_number: int, _frame: object) -> None:
        threading.Thread(target=server.shutdown).start()  # it waits for the loop that this handler interrupts

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    print(f"serving digits on http://{asked.host}:{server.server_port}/predict", flush=True)
    server.serve_forever()
    server.server_close()
    producer.close(timeout=10)


if __name__ == "__main__":
    main()

"""docker-compose.yml without Docker: what it says fits together, and what it starts really works."""

from __future__ import annotations

import json
import shutil
import smtplib
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import yaml
from brokers import Apache, BrokerHandle, free_port, topic_name
from compose_services import ROOT, compose, copied, dockerfile, running
from kafka import KafkaConsumer

from monitor.codec import Limits, decode_record
from monitor.config import load
from monitor.kafka_admin import ensure_topics
from monitor.settings import Kafka, Settings, Topic
from replay.demo.workspace import shipped
from replay.player import play_to_kafka
from replay.recording import read_raw
from replay.schedule import Record

SERVICES = compose()["services"]
CONDITIONS = {"service_started", "service_healthy", "service_completed_successfully"}
KNOWN = {
    *("build", "cap_drop", "command", "depends_on", "environment", "healthcheck", "image", "network_mode", "ports"),
    *("read_only", "restart", "security_opt", "stop_grace_period", "tmpfs", "volumes"),
}


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_is_complete(name: str) -> None:
    service = SERVICES[name]
    assert set(service) <= KNOWN
    assert service.get("build", ".") == "."
    assert ":" in service["image"]
    assert not service["image"].endswith(":latest")
    one_shot = any(
        s.get("depends_on", {}).get(name, {}).get("condition") == "service_completed_successfully"
        for s in SERVICES.values()
    )
    if one_shot:
        assert "restart" not in service
    else:
        assert service["restart"] == "unless-stopped"
        assert service.get("healthcheck", {}).get("test") or any(k == "HEALTHCHECK" for k, _ in dockerfile())


@pytest.mark.parametrize("name", SERVICES)
def test_dependencies_exist_and_can_be_met(name: str) -> None:
    for target, wanted in SERVICES[name].get("depends_on", {}).items():
        assert wanted["condition"] in CONDITIONS
        if wanted["condition"] == "service_healthy":
            assert SERVICES[target]["healthcheck"]["test"]
    mode = SERVICES[name].get("network_mode", "none")
    assert mode == "none" or mode.removeprefix("service:") in SERVICES


def test_ports_are_published_once_and_on_loopback_only() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert all(port.startswith("127.0.0.1:") for port in published)
    assert len({port.split(":")[1] for port in published}) == len(published)
    assert not any(SERVICES[name].get("ports") for name in SERVICES if "network_mode" in SERVICES[name])


def test_volumes_are_declared_and_mounted_files_exist() -> None:
    mounts = [mount.split(":") for service in SERVICES.values() for mount in service.get("volumes", [])]
    named = {source for source, *_ in mounts if not source.startswith(".")}
    assert named == set(compose()["volumes"])
    for source, _, *options in mounts:
        if source.startswith("."):
            assert (ROOT / source).is_file()
            assert options == ["ro"]


def test_our_containers_run_locked_down() -> None:
    for service in SERVICES.values():
        if "build" in service:
            assert service["read_only"] is True
            assert service["cap_drop"] == ["ALL"]
    users = [rest for keyword, rest in dockerfile() if keyword == "USER"]
    assert users
    assert "root" not in users[-1]


def test_the_image_takes_only_what_exists_and_pinned_packages() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for keyword, rest in dockerfile():
        if keyword == "COPY" and not rest.startswith("--from"):
            for source in rest.split()[:-1]:
                assert (ROOT / source).exists(), source
                assert any(source == path or source.startswith(f"{path}/") for path in allowed), source
    installs = [rest for keyword, rest in dockerfile() if keyword == "RUN" and "pip install" in rest]
    assert installs
    assert all("--constraint constraints/py311.txt" in rest for rest in installs)


def test_commands_name_files_that_are_in_the_image() -> None:
    mounted = [mount.split(":")[1] for service in SERVICES.values() for mount in service.get("volumes", [])]
    for service in SERVICES.values():
        for part in service.get("command", []):
            if part.startswith("/"):
                assert part in copied() or any(part.startswith(path) for path in mounted), part


def test_the_file_is_in_the_form_that_compose_takes() -> None:
    assert set(compose()) == {"x-vedette", "services", "volumes"}
    for client in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(client[0]) and subprocess.run([*client, "version"], capture_output=True).returncode == 0:
            done = subprocess.run([*client, "-f", "docker-compose.yml", "config", "-q"], cwd=ROOT, capture_output=True)
            assert done.returncode == 0, done.stderr.decode()


def _settings(tmp_path: Path) -> Settings:
    """``deploy/vedette.yaml`` with the one file that the service ``baseline`` makes put in its place."""
    raw = yaml.safe_load((ROOT / "deploy" / "vedette.yaml").read_text())
    baseline = SERVICES["baseline"]["command"][-1]
    assert raw["detection"]["baseline"] == baseline
    raw["detection"]["baseline"] = str(tmp_path / "baseline")
    (tmp_path / "baseline").touch()
    (tmp_path / "vedette.yaml").write_text(yaml.safe_dump(raw))
    return load(tmp_path / "vedette.yaml")


def test_the_workers_configuration_fits_its_neighbours(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    listener = f"PLAINTEXT://{settings.kafka.brokers[0]}"
    assert listener in SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"].split(",")
    assert f"{settings.notifications.email.host}:{settings.notifications.email.port}" in SERVICES["mail"]["command"]
    assert SERVICES["mail"]["network_mode"] == "service:vedette"
    assert SERVICES["vedette"]["ports"][0].endswith(f":{settings.web.port}")
    assert any(keyword == "HEALTHCHECK" and f":{settings.web.port}/healthz" in rest for keyword, rest in dockerfile())
    assert any(mount.endswith(f":{settings.data_dir}") for mount in SERVICES["vedette"]["volumes"])
    assert int(SERVICES["kafka"]["environment"]["KAFKA_MESSAGE_MAX_BYTES"]) > settings.stream.max_event_bytes


@pytest.mark.kafka
def test_kafka_starts_with_the_settings_of_its_service(tmp_path: Path) -> None:
    """The image turns ``KAFKA_A_B`` into ``a.b``; names and ports are replaced by this machine's."""
    inside = host = controller = 0
    while len({inside, host, controller}) < 3:
        inside, host, controller = free_port(), free_port(), free_port()
    properties = []
    for name, value in SERVICES["kafka"]["environment"].items():
        value = value.replace("kafka:9092", f"localhost:{inside}").replace(":9092", f":{inside}")
        value = value.replace(":29092", f":{host}").replace(":9093", f":{controller}")
        if name != "KAFKA_LOG_DIRS":
            properties.append(f"{name.removeprefix('KAFKA_').replace('_', '.').lower()}={value}")
    broker = Apache(tmp_path / "kafka", properties, port=inside)
    broker.start()
    try:
        for port in (inside, host):
            name = topic_name()
            assert ensure_topics(Kafka(brokers=(f"localhost:{port}",)), [Topic(name)]).created == (name,)
    finally:
        broker.stop()


def _post(url: str, body: object, **headers: str) -> dict[str, Any]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, raw, headers), timeout=30) as answer:
        return json.loads(answer.read())


def test_the_model_server_answers_and_its_event_reaches_the_topic(broker: BrokerHandle, tmp_path: Path) -> None:
    ensure_topics(broker.kafka, [Topic("inference-events", partitions=4)])
    before = KafkaConsumer("inference-events", bootstrap_servers=broker.bootstrap, auto_offset_reset="earliest")
    port = free_port()
    with running("model-server", {"kafka:9092": broker.bootstrap, "8000": str(port)}, tmp_path) as process:
        assert process.stdout is not None
        assert f":{port}/predict" in process.stdout.readline()
        url = f"http://127.0.0.1:{port}"
        with urllib.request.urlopen(f"{url}/healthz", timeout=30) as answer:
            assert json.loads(answer.read()) == {"status": "ok"}
        answer = _post(f"{url}/predict", {"inputs": [0.5] * 64}, **{"X-Client": "acct-1"})
        assert answer["label"] == max(range(10), key=answer["scores"].__getitem__)
        for bad in (
            b"no json",
            {"inputs": [0.5]},
            {"inputs": [2.0] * 64},
            {"inputs": ["0"] * 64},
            [1],
            b"[" * 5000,
            b"",
        ):
            with pytest.raises(urllib.error.HTTPError, match="400"):
                _post(f"{url}/predict", bad)
        with pytest.raises(urllib.error.HTTPError, match="404"):
            _post(f"{url}/other", {})
        record = next(r for r in before if answer["id"].encode() in r.value)
    before.close()
    assert process.returncode == 0

    (event,) = decode_record(record.value, Limits()).events
    assert (event.id, event.model, event.client_id, event.client_ip) == (answer["id"], "digits", "acct-1", "127.0.0.1")
    assert record.key.decode() == event.client
    assert event.shape == (8, 8)
    assert event.served_labels().tolist() == [answer["label"]]


def test_the_baseline_is_made_and_the_worker_runs_on_it(broker: BrokerHandle, tmp_path: Path) -> None:
    """The commands of ``baseline`` and ``vedette`` one after the other, then one event from topic to verdict."""
    config = yaml.safe_load((ROOT / "deploy" / "vedette.yaml").read_text())
    baseline, port = config["detection"]["baseline"], free_port()
    with running("baseline", {baseline: str(tmp_path / "baseline.vdb")}, tmp_path) as process:
        said = process.communicate(timeout=300)[0]
    assert process.returncode == 0, said
    config |= {
        "data_dir": str(tmp_path / "data"),
        "alerts_file": str(tmp_path / "alerts.jsonl"),
        "kafka": {"brokers": [broker.bootstrap], "group": topic_name("group")},
        "topics": {kind: {"name": topic_name(kind)} for kind in ("events", "dead_letters", "findings")},
        "detection": {"baseline": str(tmp_path / "baseline.vdb")},
        "web": {"port": port},
    }
    (tmp_path / "vedette.yaml").write_text(yaml.safe_dump(config))
    with running("vedette", {"/etc/vedette/vedette.yaml": str(tmp_path / "vedette.yaml")}, tmp_path) as process:
        _answer(process, port, lambda report: bool(report["ready"]))
        event = next(read_raw(shipped("demo.jsonl.zst")))
        play_to_kafka(
            [Record(1763715600.0, b"client:a", event)], broker.kafka, config["topics"]["events"]["name"], 100.0
        )
        report = _answer(process, port, lambda report: sum(report["verdicts"].values()) == 1)
        assert report["verdicts"]["clean"] == 1
    assert process.returncode == 0


def _answer(process: subprocess.Popen[str], port: int, good: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """What ``/readyz`` says once it says what is waited for."""
    while process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=30) as answer:
                report: dict[str, Any] = json.loads(answer.read())
            if good(report):
                return report
        except OSError:
            pass
        time.sleep(0.05)
    raise AssertionError(f"the worker ended: {process.communicate()[0]}")


def test_the_mail_service_prints_what_it_is_given(tmp_path: Path) -> None:
    port = free_port()
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = (
        "vedette@example.com",
        "security@example.com",
        "Found something",
    )
    message.set_content("the details")
    with running("mail", {"127.0.0.1:8025": f"127.0.0.1:{port}"}, tmp_path) as process:
        _send(message, port, process)
        printed = []
        assert process.stdout is not None
        for line in process.stdout:
            printed.append(line)
            if "END MESSAGE" in line:
                break
    assert "Subject: Found something\n" in printed
    assert "the details\n" in printed


def _send(message: EmailMessage, port: int, process: subprocess.Popen[str]) -> None:
    """Send as soon as the server listens; it says nothing when it does."""
    while process.poll() is None:
        try:
            with smtplib.SMTP("127.0.0.1", port, timeout=30) as smtp:
                smtp.send_message(message)
            return
        except ConnectionRefusedError:
            continue
    raise AssertionError(f"the mail service ended: {process.communicate()[0]}")

"""The demo's folder: configuration, baseline, a model registry with a good and a newer version, and the outputs."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import yaml

from monitor.config import load
from monitor.settings import Settings
from replay.stand_ins.slack import TOKEN
from responders import file_registry

DATA = resources.files("replay") / "data"
MODELS = ("digits", "digits-edge")
_TELL: dict[str, object] = {"type": "notify", "ttl_s": None}
#: As the default, but a shift of medium severity already rolls back: in the demo a new version has just gone live.
_POLICY = [
    {"attack": "shift", "min_severity": "medium", "actions": [{"type": "rollback", "ttl_s": None}, _TELL]},
    {
        "min_severity": "high",
        "actions": [{"type": "quarantine", "ttl_s": 3600}, {"type": "block_ip", "ttl_s": 900}, _TELL],
    },
    {"min_severity": "medium", "actions": [{"type": "throttle", "ttl_s": 900}, _TELL]},
    {"actions": [_TELL]},
]


def shipped(name: str) -> Path:
    """A file that ships with the package, as a path."""
    return Path(str(DATA / name))


@dataclass(frozen=True, slots=True)
class Workspace:
    """Paths of one demo run."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "vedette.yaml"

    @property
    def baseline(self) -> Path:
        return self.folder / "baseline.vdb"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def registry(self) -> Path:
        return self.folder / "models"

    @property
    def alerts(self) -> Path:
        return self.folder / "alerts.jsonl"

    @property
    def report(self) -> Path:
        return self.folder / "report.html"

    @property
    def slack_token(self) -> Path:
        return self.folder / "slack-token"

    @property
    def worker_log(self) -> Path:
        return self.folder / "worker.log"

    def make_registry(self) -> None:
        """Two versions of each model; the newer one is in service, as after a deployment."""
        now = time.time()
        for model in MODELS:
            for age_s, version in ((86_400.0, "1"), (3_600.0, "2")):
                card = json.dumps({"model": model, "version": version, "kind": "logistic regression"}).encode()
                file_registry.create_version(
                    self.registry, model, version, {"model.json": card}, good=True, now=now - age_s
                )
            file_registry.set_current(self.registry, model, "2")

    def write_config(self, bootstrap: str, slack_url: str, smtp_port: int, web_port: int) -> Settings:
        """``vedette.yaml`` as a user would write it; returns what it says."""
        config = {
            "data_dir": str(self.data),
            "alerts_file": str(self.alerts),
            "kafka": {"brokers": [bootstrap]},
            "detection": {"baseline": str(self.baseline)},
            "response": {"mode": "enforce", "registry_dir": str(self.registry), "policy": _POLICY},
            "notifications": {
                "group_wait_s": 0.5,
                "group_interval_s": 3.0,
                "slack": {"channel": "C0SECURITY", "token_file": str(self.slack_token), "base_url": slack_url},
                "email": {
                    "host": "127.0.0.1",
                    "port": smtp_port,
                    "sender": "vedette@example.com",
                    "recipients": ["security@example.com"],
                    "security": "none",
                },
            },
            "web": {"port": web_port},
            "logging": {"format": "json"},
        }
        self.slack_token.write_text(TOKEN, encoding="utf-8")
        plain = json.loads(json.dumps(config))  # without the anchors that YAML makes of what is said twice
        self.config.write_text(yaml.safe_dump(plain, sort_keys=False), encoding="utf-8")
        return load(self.config)

"""A throw-away certificate for ``localhost``."""

from __future__ import annotations

import subprocess
from pathlib import Path


def self_signed(folder: Path, host: str = "localhost") -> tuple[Path, Path]:
    """Certificate and key, PEM, valid for ``host`` and 127.0.0.1 for one day; its own authority.

    Raises FileNotFoundError without the ``openssl`` command, CalledProcessError if it fails.
    """
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-nodes", "-days", "1", "-subj", f"/CN={host}"]
    command += ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    command += ["-addext", f"subjectAltName=DNS:{host},IP:127.0.0.1"]
    command += ["-addext", "keyUsage=critical,digitalSignature,keyCertSign"]
    subprocess.run(  # noqa: S603 - a constant command; only the two paths and the host vary
        [*command, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True
    )
    key.chmod(0o600)
    return certificate, key

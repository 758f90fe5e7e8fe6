"""Secrets are named in the configuration, never written there: an environment variable or a file."""

from __future__ import annotations

import os
from pathlib import Path

from monitor.errors import UserError


class CredentialsError(UserError, ValueError):
    """Credentials that cannot be used; the text names the setting, variable or file, never the secret."""


class Secret(str):
    """A string whose ``repr`` hides it: client libraries log the options they are given."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


def read_secret(env: str, file: str, setting: str) -> Secret:
    """The secret in environment variable ``env`` or in ``file`` (its last line break is not part of it).

    Args:
        env: name of the variable, or "" to use ``file``.
        file: path of the file, or "".
        setting: name of the setting without ``_env``/``_file``, for error messages.

    Raises:
        CredentialsError: neither or both are given, or what is named is missing, unreadable or empty.
    """
    if bool(env) == bool(file):
        how = "only one of" if env else "one of"
        raise CredentialsError(f"{setting}: set {how} {setting}_env and {setting}_file")
    if env:
        value, where = os.environ.get(env), f"environment variable {env}"
        if value is None:
            raise CredentialsError(f"{setting}_env: {where} is not set")
    else:
        where = f"file {file}"
        try:
            value = Path(file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise CredentialsError(f"{setting}_file: cannot read {where}: {reason}") from None
        value = value.removesuffix("\n").removesuffix("\r")
    if not value:
        raise CredentialsError(f"{setting}: {where} is empty")
    return Secret(value)


def optional_secret(env: str, file: str, setting: str) -> str:
    """``read_secret``, or "" where neither a variable nor a file is configured."""
    return read_secret(env, file, setting) if env or file else ""

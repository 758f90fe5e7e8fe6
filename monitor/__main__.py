"""``python -m monitor``: the ``vedette`` command, for those who start it by interpreter."""

from monitor.cli.main import run

run()

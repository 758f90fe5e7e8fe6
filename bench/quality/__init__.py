"""How well query-pattern attacks are found, and at what cost to honest clients: ``python -m bench.quality``."""

"""Parts of ``bench.streaming``."""

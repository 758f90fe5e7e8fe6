"""Programs that bench/transport.py runs, each in a process of its own."""

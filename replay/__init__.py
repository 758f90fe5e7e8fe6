"""Recordings: read, write, play, simulate, evaluate; the demo."""

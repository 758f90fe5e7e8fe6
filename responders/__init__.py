"""Decisions as data, the actions that carry them out and undo them, and the notifiers."""

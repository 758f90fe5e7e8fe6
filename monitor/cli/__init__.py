"""The command line: a thin layer that reads arguments, calls the rooms, and prints."""

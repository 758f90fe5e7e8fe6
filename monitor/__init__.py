"""Configuration, the pure pipeline, incidents, policy, and the thin shell: Faust app, command line, metrics."""

"""Statistics over inference events: windows, baselines, evidence; one file a detector. No clock, no I/O."""

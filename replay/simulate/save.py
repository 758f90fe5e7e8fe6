"""A simulation as files: the recording and, next to it, its labels."""

from __future__ import annotations

from pathlib import Path

from replay.labels import encode_labels, labels_path
from replay.recording import RecordingWriter
from replay.simulate.simulation import Simulated


def save(simulated: Simulated, recording: Path) -> Path:
    """Writes the recording, in the form its suffix names, and its labels; returns the labels' path.

    Raises RecordingError for a suffix that is no recording's, OSError if a file cannot be written.
    """
    with RecordingWriter(recording) as writer:
        for event in simulated.events:
            writer.write(event)
    labels = labels_path(recording)
    labels.write_bytes(encode_labels(simulated.labels))
    return labels

"""Attacks on a service that takes embeddings: what the default detectors say of each, and of honest clients.

    python -m bench.quality.embeddings [--quick] [--seeds 5] [--jobs 2]

Tables and goals as ``python -m bench.quality``, without the peers: Blacklight, which finds most of its fingerprints
again, takes many minutes a recording.
"""

from __future__ import annotations

from typing import Final

from bench.quality.command import asked
from bench.quality.judge import judged_alone
from bench.quality.tables import publish_all

SET: Final = "embeddings"


def main() -> None:
    args = asked("bench.quality.embeddings", __doc__, (SET,), 5, quick_set=0, jobs_help="recordings at a time")
    scored = [one for said in args.each(judged_alone) for one in said]
    with args.run() as run:
        publish_all(run, scored, "quality-embeddings")


if __name__ == "__main__":
    main()

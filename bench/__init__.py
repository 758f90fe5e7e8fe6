"""Benchmarks: speed against peers, quality against papers; each writes its table into RESULTS.md."""

import monitor  # noqa: F401 - chooses BLAS kernels, for which numpy must not be loaded yet

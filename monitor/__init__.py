"""Configuration, the pure pipeline, incidents, policy, and the thin shell: Faust app, command line, metrics."""

import os

from monitor.blas import choose

choose(os.environ)  # here, because it must be done before anything loads numpy

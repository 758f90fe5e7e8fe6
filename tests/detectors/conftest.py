"""Which test files there are: alibi-detect 0.11.4 exists for Python below 3.12 only."""

import sys

collect_ignore = ["test_alibi_real.py"] if sys.version_info >= (3, 12) else []

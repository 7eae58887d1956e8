"""Files that other programs made, from the folder OFD_SAMPLES: `make interop`. Without it, no tests."""

from __future__ import annotations

import os

collect_ignore_glob = [] if os.environ.get("OFD_SAMPLES") else ["test_*.py"]

"""The benchmarks are no part of the package, so their folder is not on the path."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

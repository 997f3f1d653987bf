"""What is held against the incidents of other gateways: whole processes, sockets, the source itself."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(Path(__file__).parent), str(ROOT / "tools"), str(ROOT / "tests" / "e2e")]

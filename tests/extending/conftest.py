"""The recorded answers are read beside the samples of the dialects and the providers, which lie beside their tests."""

import sys
from pathlib import Path

for room in ("dialects", "providers"):
    sys.path.insert(0, str(Path(__file__).parents[1] / room))

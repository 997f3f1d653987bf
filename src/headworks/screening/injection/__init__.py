"""Layers against instructions that stand in data: what users write, what tools bring back, what variables hold.

No layer, nor all of them, stops every injection. Those that read (characters, wordings) are signals. Those that enforce
do not read: untrusted text is fenced off, its taint lies on calls of tools with side effects, a canary word shows that
instructions leave, and an answer may point to listed hosts only.

Pure. May import `errors`, `calls` and `config.injection`.
"""

from headworks.screening.injection.characters import unusual_characters, without_unusual_characters
from headworks.screening.injection.detecting import Detector
from headworks.screening.injection.signals import InjectionVerdict, LayerName, Signal, Source, heaviest, summed_up

__all__ = [
    "Detector",
    "InjectionVerdict",
    "LayerName",
    "Signal",
    "Source",
    "heaviest",
    "summed_up",
    "unusual_characters",
    "without_unusual_characters",
]

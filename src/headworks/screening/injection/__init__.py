"""Layers against instructions that stand in data: what users write, what tools bring back, what variables hold.

No layer, nor all of them, stops every injection. Those that read (characters, wordings) are signals. Those that enforce
do not read: untrusted text is fenced off, its taint lies on calls of tools with side effects, a canary word shows that
instructions leave, and an answer may point to listed hosts only. `InjectionPolicy.compile` makes a contract's
`screening.injection` ready.

Pure. May import `errors`, `calls` and `config.injection`.
"""

from headworks.screening.injection.addresses import Address, AddressKind, find_addresses
from headworks.screening.injection.asking import question, verdict_in
from headworks.screening.injection.canary import CanaryStream, CanaryWatch, canary_note, canary_of
from headworks.screening.injection.characters import unusual_characters, without_unusual_characters
from headworks.screening.injection.classifier import Classifier, Embed
from headworks.screening.injection.detecting import Detector
from headworks.screening.injection.egress import Egress, EgressStream
from headworks.screening.injection.fencing import Fence
from headworks.screening.injection.policy import InjectionPolicy
from headworks.screening.injection.provenance import Taint, TaintBy, leaves
from headworks.screening.injection.signals import InjectionVerdict, LayerName, Signal, Source, heaviest, summed_up

__all__ = [
    "Address",
    "AddressKind",
    "CanaryStream",
    "CanaryWatch",
    "Classifier",
    "Detector",
    "Egress",
    "EgressStream",
    "Embed",
    "Fence",
    "InjectionPolicy",
    "InjectionVerdict",
    "LayerName",
    "Signal",
    "Source",
    "Taint",
    "TaintBy",
    "canary_note",
    "canary_of",
    "find_addresses",
    "heaviest",
    "leaves",
    "question",
    "summed_up",
    "unusual_characters",
    "verdict_in",
    "without_unusual_characters",
]

"""Names of people, organisations and places: found by a local model, in processes of its own.

Such data has no form, so that patterns do not find it, and a model that does takes milliseconds a kilobyte and hundreds
of megabytes. `EntityPool` asks bounded processes: so many, so much time and memory, killed when stuck. What they find
is a call's `Entities`, by text, before its body is redacted; the redactor puts them together with what patterns find.
A model is whatever gives an `EntityModel`: spaCy, Presidio and GLiNER have adapters (`models`), packages add theirs by
entry points in the group `headworks.entity_models`.

May import `errors`, `config.privacy`, `screening.bounded` and `finding`.
"""

from headworks.screening.privacy.entities.found import NO_ENTITIES, Entities
from headworks.screening.privacy.entities.models import ENTITY_KINDS, GROUP, EntityModel, Span, check_model
from headworks.screening.privacy.entities.pool import EntityFailure, EntityPool, pool_of

__all__ = [
    "ENTITY_KINDS",
    "GROUP",
    "NO_ENTITIES",
    "Entities",
    "EntityFailure",
    "EntityModel",
    "EntityPool",
    "Span",
    "check_model",
    "pool_of",
]

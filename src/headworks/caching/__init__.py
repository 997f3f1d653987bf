"""The provider's prompt cache, seen from outside: what recent calls could have read from it, and why they did not.

`fingerprint` makes keyed hashes of a request's first blocks, which can be kept where its text may not be. `replay`
sends recent calls through a cache that works as the provider documents (`rules_of`), `partings` finds in the tree of
their prefixes where they begin to differ, `cause_of` leads that byte back to the template's line, and `cache_report`
puts the measured hit rate beside the achievable one, with the money between them. All of it is pure.

May import `calls`, `errors` and `catalogue`.
"""

from headworks.caching.fingerprint import (
    BLOCK_BYTES,
    MOST_BLOCKS,
    Fingerprint,
    fingerprint,
    hash_key,
    prefix_of,
    read_fingerprint,
)
from headworks.caching.replaying import Charge, SeenCall, Use, replay, replay_marked
from headworks.caching.report import CacheReport, Money, Way, cache_report
from headworks.caching.rules import CacheRules, rules_of
from headworks.caching.template import Cause, Template, TemplatePiece, cause_of, first_varying
from headworks.caching.tree import Parting, partings

__all__ = [
    "BLOCK_BYTES",
    "MOST_BLOCKS",
    "CacheReport",
    "CacheRules",
    "Cause",
    "Charge",
    "Fingerprint",
    "Money",
    "Parting",
    "SeenCall",
    "Template",
    "TemplatePiece",
    "Use",
    "Way",
    "cache_report",
    "cause_of",
    "fingerprint",
    "first_varying",
    "hash_key",
    "partings",
    "prefix_of",
    "read_fingerprint",
    "replay",
    "replay_marked",
    "rules_of",
]

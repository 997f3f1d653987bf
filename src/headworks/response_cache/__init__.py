"""Answers that were given once and may be given again: keys, entries, stores, and one flight for calls that are alike.

A workload whose contract has `cache` gets the answer of an earlier call that was the same, byte for byte, while that is
young enough. Two calls are the same where everything is that could change the answer (`keys`), and they are of one
tenant. Where the contract has `cache.semantic`, one text of them may be another that is like it (`neighbours`).
Nothing here knows HTTP or a provider: `cached_calls` records answers and plays them again. What a store holds outside
of this process is sealed. A store is a place for bytes under a key of 32 bytes (`Store`), and for leases, which say
which process makes a call that several were asked for. This room may import `errors`, `database` and the standard
library.
"""

from headworks.response_cache.cache import ResponseCache, Seal
from headworks.response_cache.entries import CachedAnswer
from headworks.response_cache.flights import Flight, Flights, Landed
from headworks.response_cache.forgetting import ask_to_forget, asked_to_forget_s
from headworks.response_cache.keys import VOLATILE, Asked, key_of, tenant_of
from headworks.response_cache.leases import LEASE_S, Lease
from headworks.response_cache.likeness import LIKENESS, MOST_CHARACTERS, Wording, may_stand, wording_of
from headworks.response_cache.memory import MemoryStore
from headworks.response_cache.neighbours import Near, Neighbours, TextModel
from headworks.response_cache.sqlite import CACHE_FILE, CacheStats, SqliteStore, clear_file, purge_file, stats_of_file
from headworks.response_cache.stores import MOST_ENTRY_BYTES, Store, StoreAway
from headworks.response_cache.valkey import ValkeyStore

__all__ = [
    "CACHE_FILE",
    "LEASE_S",
    "LIKENESS",
    "MOST_CHARACTERS",
    "MOST_ENTRY_BYTES",
    "VOLATILE",
    "Asked",
    "CacheStats",
    "CachedAnswer",
    "Flight",
    "Flights",
    "Landed",
    "Lease",
    "MemoryStore",
    "Near",
    "Neighbours",
    "ResponseCache",
    "Seal",
    "SqliteStore",
    "Store",
    "StoreAway",
    "TextModel",
    "ValkeyStore",
    "Wording",
    "ask_to_forget",
    "asked_to_forget_s",
    "clear_file",
    "key_of",
    "may_stand",
    "purge_file",
    "stats_of_file",
    "tenant_of",
    "wording_of",
]

"""Answers that were given once and may be given again: keys, entries, stores, and one flight for calls that are alike.

A workload whose contract has `cache` gets the answer of an earlier call that was the same, byte for byte, while that is
young enough. Two calls are the same where everything is that could change the answer (`keys`), and they are of one
tenant. Nothing here knows HTTP or a provider: `cached_calls` records answers and plays them again. What a store holds
outside of this process is sealed. A store is a place for bytes under a key of 32 bytes (`Store`); a store that finds
what is alike, and not the same, would be another `ResponseCache`. This room may import `errors`, `database` and the
standard library.
"""

from headworks.response_cache.cache import ResponseCache, Seal
from headworks.response_cache.entries import CachedAnswer
from headworks.response_cache.flights import Flight, Flights, Landed
from headworks.response_cache.keys import VOLATILE, Asked, key_of, tenant_of
from headworks.response_cache.memory import MemoryStore
from headworks.response_cache.sqlite import CACHE_FILE, CacheStats, SqliteStore, clear_file, purge_file, stats_of_file
from headworks.response_cache.stores import MOST_ENTRY_BYTES, Store, StoreAway
from headworks.response_cache.valkey import ValkeyStore

__all__ = [
    "CACHE_FILE",
    "MOST_ENTRY_BYTES",
    "VOLATILE",
    "Asked",
    "CacheStats",
    "CachedAnswer",
    "Flight",
    "Flights",
    "Landed",
    "MemoryStore",
    "ResponseCache",
    "Seal",
    "SqliteStore",
    "Store",
    "StoreAway",
    "ValkeyStore",
    "clear_file",
    "key_of",
    "purge_file",
    "stats_of_file",
    "tenant_of",
]

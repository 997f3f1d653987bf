"""Answers to texts that are like one another: which of them were asked in one context, and how near a new one is.

A context is everything that makes two calls the same, but the one text that is compared (`keys.key_of` without it): the
tenant, the workload, prompt version, schema, parameters, models, and the conversation before. Its neighbours lie in the
same store as the answers, sealed as these are: the vector of a text tells about what it says.
"""

import hashlib
import hmac
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from headworks.response_cache.cache import ResponseCache
from headworks.response_cache.entries import CachedAnswer
from headworks.response_cache.likeness import MOST_CHARACTERS, Wording, may_stand, wording_of

MOST_NEIGHBOURS = 256
"""Of one context; the oldest goes first. A record of so many is 170 KB."""

_PREFIX = b"like:"
"""Of a context's key, so that it is none of an answer's."""

_TRIED = 3
"""Neighbours whose answers are looked for: those of the nearest may have been removed."""


class TextModel(Protocol):
    """Gives vectors of texts: `embedding.LocalModel`."""

    identity: str
    """What vectors depend on."""

    def packed(self, text: str) -> bytes:
        """The vector of a text, of length 1, written down; b"" for a text without a word."""
        ...

    def cosines(self, vector: bytes, others: bytes) -> Sequence[float]:
        """The cosines of a vector with each of others, which stand behind one another."""
        ...


class Near(msgspec.Struct, frozen=True):
    """An answer to a text that is like this one, and how like: the cosine of their vectors."""

    answer: CachedAnswer
    similarity: float


class _Neighbour(msgspec.Struct, frozen=True, array_like=True):
    key: bytes
    vector: bytes
    wording: Wording
    expires_us: int


class _Context(msgspec.Struct, frozen=True, array_like=True):
    model: str
    neighbours: tuple[_Neighbour, ...]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Context).decode


class Neighbours:
    """Finds, of one workload, answers to texts that are like others.

    Arguments:
        cache: where answers and contexts lie.
        model: gives the vectors.
        at_least: the cosine from which on an answer may stand for another's.
        secret: of this installation.
        now: Unix seconds.
    """

    def __init__(
        self, cache: ResponseCache, model: TextModel, at_least: float, secret: bytes, now: Callable[[], float]
    ) -> None:
        self._cache = cache
        self._model = model
        self._at_least = at_least
        self._key = hmac.digest(secret, b"headworks response cache, wordings", hashlib.sha256)
        self._now = now

    async def find(self, context: bytes, text: str) -> Near | None:
        """The answer to the text of this context that is most like this one, if one is like enough."""
        vector = self._vector(text)
        known = await self._known(context) if vector else ()
        if not known:
            return None
        wording = wording_of(text, self._key)
        cosines = self._model.cosines(vector, b"".join([one.vector for one in known]))
        near = sorted(
            (
                (cosine, number)
                for number, (cosine, one) in enumerate(zip(cosines, known, strict=True))
                if cosine >= self._at_least and may_stand(wording, one.wording)
            ),
            reverse=True,
        )
        for cosine, number in near[:_TRIED]:
            answer = await self._cache.find(known[number].key)
            if answer is not None:
                return Near(answer, min(1.0, cosine))
        return None

    async def keep(self, context: bytes, text: str, key: bytes, expires_us: int) -> None:
        """Remember that the answer under this key is to this text. What two workers remember at once, one may lose:
        that costs a call and harms none."""
        vector = self._vector(text)
        if not vector:
            return
        others = [one for one in await self._known(context) if one.key != key]
        kept = (*others[-(MOST_NEIGHBOURS - 1) :], _Neighbour(key, vector, wording_of(text, self._key), expires_us))
        lives_s = max(one.expires_us for one in kept) / 1e6 - self._now()
        await self._cache.write(_PREFIX + context, _encode(_Context(self._model.identity, kept)), lives_s)

    def _vector(self, text: str) -> bytes:
        return self._model.packed(text) if len(text) <= MOST_CHARACTERS else b""

    async def _known(self, context: bytes) -> tuple[_Neighbour, ...]:
        data = await self._cache.read(_PREFIX + context)
        if data is None:
            return ()
        try:
            found = _decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return ()  # of another release: it is written anew
        if found.model != self._model.identity:
            return ()
        now_us = self._now() * 1e6
        return tuple([one for one in found.neighbours if one.expires_us > now_us])

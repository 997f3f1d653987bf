"""A provider's keys, under its calls: which one is sent, what happens when it is refused, how new ones come in.

    send(key 1) -> 401 -> send(key 2) -> 200

stands between a call and the transport, and only where keys can change or there are several. A call under way keeps
the key that it was sent with; when that one is refused, it is sent again with another that is not. Nothing has been
done by then, for whoever refuses a key has not looked at the request. So neither a key that the provider does not know
yet, nor one that it knows no longer, fails a call. Nobody above sees it: it is one attempt.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter

from headworks.body import BodyStream
from headworks.calls import Failure, FailureKind
from headworks.exchange import Flight, Sink, Timeouts, Upstream, UpstreamRequest, Wire, WireEnd, WireSink
from headworks.providers import Provider

FIRST_REST_S = 15.0
MOST_REST_S = 300.0
"""A key that was refused is tried again after so long, by one call that has another to fall back to; twice as long each
time. Providers take seconds to minutes to make a new key known everywhere."""

_SUSPECT = frozenset({400, 401, 403})
"""Statuses by which providers refuse keys (400: Gemini). What else they mean, the provider's `classify` knows."""

_ASK_EVERY_S = 5.0
"""While keys are refused, new ones are asked for so often at most, however many calls there are."""

_HELD_BYTES = 65_536
_LEAST_S = 0.05


class Key:
    """One key as it is sent. State: until when it rests after a refusal, and for how long.

    Arguments:
        block: the headers that begin every request, the key among them.
    """

    __slots__ = ("block", "rest_s", "until_s")

    def __init__(self, block: bytes) -> None:
        self.block = block
        self.rest_s = FIRST_REST_S
        self.until_s = 0.0

    def __repr__(self) -> str:
        return "Key(hidden)"


class KeyedUpstream:
    """Implements `exchange.Upstream`. State: the keys, the newest first, and which one is sent; whether none may be,
    for all are expired (`secrets.keeper`).

    Arguments:
        name: of the provider and the pool, for the operator.
        upstream: the way there.
        provider: makes the requests; they begin with the first of `blocks`.
        blocks: the headers that begin a request, one for each key, the newest first.
        say: writes a line for the operator.
        refused: told when a key is refused, so that new ones are looked for.
        now: monotonic seconds.
    """

    def __init__(
        self,
        name: str,
        upstream: Upstream,
        provider: Provider,
        blocks: Sequence[bytes],
        *,
        say: Callable[[str], None],
        refused: Callable[[], None],
        now: Callable[[], float] = perf_counter,
    ) -> None:
        self.provider = provider
        self._name = name
        self._upstream = upstream
        self._rendered = blocks[0]
        self._say = say
        self._refused = refused
        self._now = now
        self._keys = [Key(block) for block in blocks]
        self._key = self._keys[0]
        self._is_expired = False
        self._ask_again_s = 0.0

    @property
    def is_fallen_back(self) -> bool:
        """Whether the newest key is refused and another is sent in its place."""
        return self._key is not self._keys[0]

    def take(self, blocks: Sequence[bytes]) -> bool:
        """Send these from now on, the newest first; none: refuse all calls. Returns whether they are others than
        before."""
        was_expired, self._is_expired = self._is_expired, not blocks
        if not blocks:
            return not was_expired
        if [key.block for key in self._keys] == list(blocks):
            return was_expired
        known = {key.block: key for key in self._keys}
        newest = self._keys[0].block
        self._keys = [known.get(block) or Key(block) for block in blocks]
        if self._keys[0].block != newest or self._key not in self._keys:
            self._keys[0].until_s = 0.0
            self._key = self._keys[0]
        return True

    def send(self, request: UpstreamRequest, sink: Sink, timeouts: Timeouts) -> Flight:
        if self._is_expired:
            return _Grounded(self._name, sink)
        if self._key is not self._keys[0] and self._now() >= self._keys[0].until_s:
            self._key = self._keys[0]  # the newest again: this call shows whether it is known by now
        return _KeyedFlight(self, request, sink, timeouts, self._key)

    def upload(self, request: UpstreamRequest, body: BodyStream, sink: Sink, timeouts: Timeouts) -> Flight:
        if self._is_expired:
            return _Grounded(self._name, sink)
        # With the key of the moment: what has gone up piece by piece cannot be sent again.
        return self._upstream.upload(self._with_key(request, self._key), body, sink, timeouts)

    def connect(self, request: UpstreamRequest, sink: WireSink, timeouts: Timeouts) -> Flight:
        if self._is_expired:
            return _Grounded(self._name, sink)
        return _KeyedConnect(self, request, sink, timeouts, self._key)

    async def close(self) -> None:
        await self._upstream.close()

    def launch(self, request: UpstreamRequest, key: Key, sink: Sink, timeouts: Timeouts) -> Flight:
        """Send a request with a key."""
        return self._upstream.send(self._with_key(request, key), sink, timeouts)

    def launch_connect(self, request: UpstreamRequest, key: Key, sink: WireSink, timeouts: Timeouts) -> Flight:
        """The same for a request to change to another protocol."""
        return self._upstream.connect(self._with_key(request, key), sink, timeouts)

    def _with_key(self, request: UpstreamRequest, key: Key) -> UpstreamRequest:
        if key.block == self._rendered:
            return request
        return UpstreamRequest(request.line, key.block + request.headers[len(self._rendered) :], request.body)

    def accepted(self, key: Key) -> None:
        """A key that may have been refused before is good."""
        if key.until_s:
            key.until_s, key.rest_s = 0.0, FIRST_REST_S
            if key is self._keys[0]:
                self._say(f"{self._name}: the newest key is accepted now")

    def other(self, key: Key) -> Key | None:
        """What to send in place of a key that was refused; None where all are, or are expired."""
        if self._is_expired:
            return None
        now_s = self._now()
        if key in self._keys and now_s >= key.until_s:
            key.until_s = now_s + key.rest_s
            key.rest_s = min(MOST_REST_S, key.rest_s * 2.0)
        good = next((one for one in self._keys if now_s >= one.until_s), None)
        if good is None:
            self._key = self._keys[0]
            self._ask(now_s)
            return None
        if good is not self._key:
            self._key = good
            if good is not self._keys[0]:
                self._say(f"{self._name}: the newest key is refused; an older one is used for now")
                self._ask(now_s)
        return good

    def _ask(self, now_s: float) -> None:
        if now_s >= self._ask_again_s:
            self._ask_again_s = now_s + _ASK_EVERY_S
            self._refused()


class _Grounded:
    """Implements `exchange.Flight`: a request that is not sent, for there is no key to send it with. It fails in the
    next turn of the loop, as one whose connection fails."""

    def __init__(self, name: str, sink: Sink | WireSink) -> None:
        self._sink: Sink | WireSink | None = sink
        says = f"{name}: its key could not be looked at for longer than secrets.stale_for_s, and is not used"
        self._failure = Failure(FailureKind.UNAUTHORIZED, says)
        asyncio.get_running_loop().call_soon(self._fail)

    def pause(self) -> None:
        """Nothing comes."""

    def resume(self) -> None:
        """Nothing comes."""

    def cancel(self) -> None:
        self._sink = None

    def _fail(self) -> None:
        sink, self._sink = self._sink, None
        if sink is not None:
            sink.on_failure(self._failure)


class _KeyedFlight:
    """One request, whichever key it is sent with in the end. Implements `exchange.Flight` and `exchange.Sink`.

    State: what has come of an answer that may be a refusal of the key; it is passed on when it turns out to be none.
    """

    __slots__ = ("_begun_s", "_flight", "_held", "_is_over", "_key", "_owner", "_request", "_sink", "_timeouts",
                 "_tried", "_wants_pause")  # fmt: skip

    def __init__(
        self, owner: "KeyedUpstream | _Connects", request: UpstreamRequest, sink: Sink, timeouts: Timeouts, key: Key
    ) -> None:
        self._owner = owner
        self._request = request
        self._sink = sink
        self._timeouts = timeouts
        self._key = key
        self._tried: list[Key] = []
        self._held: tuple[int, Mapping[bytes, bytes], list[bytes]] | None = None
        self._is_over = False
        self._wants_pause = False
        self._begun_s = perf_counter()
        self._flight = owner.launch(request, key, self, timeouts)

    # -- the flight -----------------------------------------------------------------------------------------------

    def pause(self) -> None:
        self._wants_pause = True
        self._flight.pause()

    def resume(self) -> None:
        self._wants_pause = False
        self._flight.resume()

    def cancel(self) -> None:
        self._is_over = True
        self._flight.cancel()

    # -- the sink -------------------------------------------------------------------------------------------------

    def on_head(self, status: int, headers: Mapping[bytes, bytes]) -> None:
        if status in _SUSPECT:
            self._held = (status, headers, [])
        else:
            if self._key.until_s and status < 400:
                self._owner.accepted(self._key)
            self._sink.on_head(status, headers)

    def on_body(self, data: bytes) -> None:
        if self._held is None:
            self._sink.on_body(data)
            return
        self._held[2].append(data)
        if sum(map(len, self._held[2])) > _HELD_BYTES:  # no refusal of a key is as long
            self._let_through()

    def on_end(self) -> None:
        if self._held is not None:
            if self._goes_on():
                return
            self._let_through()
        if not self._is_over:
            self._is_over = True
            self._sink.on_end()

    def on_failure(self, failure: Failure) -> None:
        if not self._is_over:
            self._is_over = True
            self._sink.on_failure(failure)

    def _let_through(self) -> None:
        assert self._held is not None, "who calls has looked"
        (status, headers, pieces), self._held = self._held, None
        if self._is_over:
            return
        self._sink.on_head(status, headers)
        for piece in pieces:
            if not self._is_over:
                self._sink.on_body(piece)

    def _goes_on(self) -> bool:
        """Whether what was held is a refusal of the key, and the request goes out again with another."""
        assert self._held is not None, "who calls has looked"
        status, headers, pieces = self._held
        if self._is_over or self._owner.provider.classify(status, headers, b"".join(pieces)).kind not in _OF_THE_KEY:
            return False
        self._tried.append(self._key)
        key = self._owner.other(self._key)
        left_s = self._timeouts.total_s - (perf_counter() - self._begun_s)
        if key is None or key in self._tried or left_s < _LEAST_S:
            return False
        self._key, self._held = key, None
        flight = self._owner.launch(self._request, key, self, self._timeouts.within(left_s))
        self._flight = flight
        if self._wants_pause:
            flight.pause()
        return True


class _KeyedConnect(_KeyedFlight):
    """The same for a request to change to another protocol. Implements `exchange.WireSink`."""

    __slots__ = ("_wire_sink",)

    def __init__(
        self, owner: KeyedUpstream, request: UpstreamRequest, sink: WireSink, timeouts: Timeouts, key: Key
    ) -> None:
        self._wire_sink = sink
        super().__init__(_Connects(owner, self), request, sink, timeouts, key)

    def on_wire(self, headers: Mapping[bytes, bytes], wire: Wire) -> WireEnd | None:
        end = None if self._is_over else self._wire_sink.on_wire(headers, wire)
        if end is not None:
            self._is_over = True
            self._owner.accepted(self._key)
        return end


class _Connects:
    """Stands between such a flight and the keys: what it sends is a request to change."""

    __slots__ = ("_owner", "_sink", "accepted", "other", "provider")

    def __init__(self, owner: KeyedUpstream, sink: _KeyedConnect) -> None:
        self._owner = owner
        self._sink = sink
        self.provider = owner.provider
        self.accepted = owner.accepted
        self.other = owner.other

    def launch(self, request: UpstreamRequest, key: Key, sink: Sink, timeouts: Timeouts) -> Flight:  # noqa: ARG002
        """See `KeyedUpstream`."""
        return self._owner.launch_connect(request, key, self._sink, timeouts)


_OF_THE_KEY = frozenset({FailureKind.UNAUTHORIZED})


def blocks_of(providers: Sequence[Provider]) -> list[bytes]:
    """The headers that begin the requests of each, each once."""
    return list(dict.fromkeys(provider.fixed_headers for provider in providers))

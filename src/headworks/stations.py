"""The targets of calls: what stands behind a model's name at a provider, what it can serve, and which is asked now."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import msgspec

from headworks.calls import Endpoint
from headworks.catalogue import TargetPrice
from headworks.dialects import RequestHead
from headworks.endpoints import GENERATE_PATH
from headworks.errors import Refusal
from headworks.exchange import Timeouts, Upstream
from headworks.limits import SOON_S, LimitSet
from headworks.providers import Provider
from headworks.routing import Headroom, Health, Target, choose

_PATHS = {
    Endpoint.RESPONSES: "/responses",
    Endpoint.CHAT: "/chat/completions",
    Endpoint.MESSAGES: "/messages",
    Endpoint.GENERATE_CONTENT: GENERATE_PATH,
    Endpoint.COMPLETIONS: "/completions",
    Endpoint.EMBEDDINGS: "/embeddings",
}
"""Where calls can be bridged from; what lies below these paths cannot."""

_BRIDGED = {
    Endpoint.RESPONSES: (Endpoint.CHAT, Endpoint.MESSAGES, Endpoint.GENERATE_CONTENT, Endpoint.CONVERSE),
    Endpoint.CHAT: (Endpoint.RESPONSES, Endpoint.MESSAGES, Endpoint.GENERATE_CONTENT, Endpoint.CONVERSE),
    Endpoint.MESSAGES: (Endpoint.RESPONSES, Endpoint.CHAT, Endpoint.GENERATE_CONTENT, Endpoint.CONVERSE),
    Endpoint.GENERATE_CONTENT: (Endpoint.RESPONSES, Endpoint.CHAT, Endpoint.MESSAGES, Endpoint.CONVERSE),
    Endpoint.COMPLETIONS: (
        *(Endpoint.CHAT, Endpoint.RESPONSES, Endpoint.MESSAGES, Endpoint.GENERATE_CONTENT, Endpoint.CONVERSE),
    ),
    Endpoint.EMBEDDINGS: (Endpoint.EMBED_CONTENT, Endpoint.INVOKE_MODEL),
}
"""By the endpoint that is called: the dialects that it can be translated to, the one that can say most first."""

NO_PRICE = TargetPrice(None, "")


class Station(msgspec.Struct, frozen=True):
    """A model at a provider, through one pool, and the way to it. `price` is what its calls cost; `health` what is
    learnt of it; `limits` the quotas that its calls are under, and `headroom` what is left of them. `stands_for` is the
    model whose name says what it can do, where its own is one that its operator chose (`deployments`); else ""."""

    provider: Provider
    upstream: Upstream
    timeouts: Timeouts
    price: TargetPrice
    health: Health
    limits: LimitSet | None = None
    headroom: Headroom | None = None
    stands_for: str = ""


def spoken_by(speaks: frozenset[Endpoint], endpoint: Endpoint, head: RequestHead | None = None) -> Endpoint | None:
    """The dialect to which a call of `endpoint` is translated for a target that speaks these; None if it cannot be."""
    if head is not None and Endpoint.CHAT in speaks and _wants_chat(head.fields):
        return Endpoint.CHAT
    return next((one for one in _BRIDGED.get(endpoint, ()) if one in speaks), None)


_CHATS_OWN = frozenset({"stopSequences", "seed", "presencePenalty", "frequencyPenalty"})
_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def _wants_chat(fields: Mapping[str, msgspec.Raw]) -> bool:
    """Whether a caller of Anthropic's or Google's API asks for what Chat has a place for and Responses has none."""
    if "stop_sequences" in fields:
        return True
    for name in ("generationConfig", "generation_config"):
        if name in fields:
            try:
                inner = _decode_fields(fields[name])
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                return False  # whoever translates it says what is wrong
            return any(_camel(one) in _CHATS_OWN for one in inner)
    return False


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.title() for part in rest)


def may_serve(target: Target[Station], endpoint: Endpoint, path: str) -> bool:
    """Whether a call of this endpoint can go to a target, translated if need be."""
    if endpoint in target.speaks:
        return True
    return path == _PATHS.get(endpoint) and spoken_by(target.speaks, endpoint) is not None


def check_bridge(target: Target[Station], name: str, endpoint: Endpoint, path: str) -> Endpoint:
    """Check that a call can be translated for a target that does not speak its dialect; returns the one that it does.

    Arguments:
        name: of the model, as the caller has it.
        path: of the API, below the base URL.

    Raises:
        Refusal: 400, it cannot be.
    """
    spoken = spoken_by(target.speaks, endpoint)
    if spoken is None:
        served = ", ".join(sorted(one.value for one in target.speaks))
        raise Refusal(
            400,
            "endpoint_not_supported",
            f"The model `{name}` is at a provider that does not serve {endpoint.value}; it serves {served}.",
            param="model",
        )
    if path != _PATHS[endpoint]:
        raise Refusal(
            400,
            "endpoint_not_supported",
            f"/v1{path} is not served by this model's provider, and cannot be translated.",
            param="model",
        )
    return spoken


def pick(
    pools: Sequence[Target[Station]],
    now_s: float,
    uniform: Callable[[float], float],
    *,
    key: str = "",
    is_streamed: bool = False,
) -> Target[Station] | None:
    """Which of several that serve the same name is asked now; None where none may be. See `choose`."""
    left_of = partial(_headroom, now_s)
    return choose(pools, health_of, now_s, uniform, key=key, headroom_of=left_of, is_streamed=is_streamed)


def _headroom(now_s: float, target: Target[Station]) -> float:
    """How much is left of the tightest limit of a target, as far as this worker knows; 0 where a call has no room."""
    station = target.station
    limits = station.limits
    if limits is None:
        return 1.0
    if limits.wait_s(1, now_s) > SOON_S:
        return 0.0
    return 1.0 if station.headroom is None else station.headroom.left(now_s)


def health_of(target: Target[Station]) -> Health:
    """What is learnt of a target."""
    return target.station.health


def pool_not_configured(provider: str) -> Refusal:
    """Where something lies is configured no more. It is nowhere else."""
    return Refusal(
        503,
        "pool_not_configured",
        f"What this refers to lies at `{provider}`, which is not in this gateway's configuration any more, and nowhere "
        "else. Its operator can configure it again.",
        kind="server_error",
        headers=(("x-should-retry", "false"),),
    )

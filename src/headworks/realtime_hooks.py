"""Hooks and a Realtime session: they are asked when it begins, and whenever its caller sets it or asks for a response.

A session is its caller's to lead, and nothing in it is changed: what a hook would have otherwise is refused, by an
error event that says so. What has been set stays set, so that a response is judged by that and by what itself says.
"""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from headworks.calls import Endpoint
from headworks.errors import Refusal
from headworks.hook_checks import Checks, facts_of_fields
from headworks.realtime import ClientEvent
from headworks.settlement import OpenCall

_SESSION = "a Realtime session"
_SAYS = {"session.update": "session", "response.create": "response"}
"""By the events that are asked about: where they say how is answered (OpenAI API reference, 2026-11)."""

_FIRST_VERSION = {"max_response_output_tokens": "max_output_tokens"}
_WHY = "what is said in one goes to its model as it is"


class EventChecks(Protocol):
    """What a relay asks before it passes an event of the caller on."""

    def concerns(self, kind: str) -> bool:
        """Whether events of this type are asked about."""
        ...

    async def ask(self, event: ClientEvent, message: bytes) -> Refusal | None:
        """Why this one is not to go up; None if it is."""
        ...


class SessionChecks:
    """Implements `EventChecks` for one session. State: what its caller has set.

    Arguments:
        model: the session's, as its caller names it.
    """

    def __init__(self, hooks: Checks, call: OpenCall, model: str) -> None:
        self._hooks = hooks
        self._call = call
        self._model = model
        self._set: Mapping[str, msgspec.Raw] = {"model": msgspec.Raw(msgspec.json.encode(model))}

    async def begin(self) -> None:
        """Ask whether there may be one. Raises Refusal: not so."""
        await self._check(self._set, 0, _SESSION)

    def concerns(self, kind: str) -> bool:
        """See `EventChecks`."""
        return kind in _SAYS

    async def ask(self, event: ClientEvent, message: bytes) -> Refusal | None:
        """See `EventChecks`."""
        kind = event.type
        said = _said(message, _SAYS[kind])
        fields = {**self._set, **said, "model": self._set["model"]}
        listens = "" if event.session is None else event.session.transcribes_with
        try:
            await self._check(fields, len(message), f"`{kind}` of {_SESSION}")
            if listens:
                named = {"model": msgspec.Raw(msgspec.json.encode(listens))}
                await self._check(named, len(message), f"a transcription in {_SESSION}", listens)
        except Refusal as refusal:
            return refusal
        if kind == "session.update":
            self._set = fields
        return None

    async def _check(self, fields: Mapping[str, msgspec.Raw], size: int, what: str, model: str = "") -> None:
        asked = facts_of_fields(self._call, "session", Endpoint.REALTIME, fields, size)
        await self._hooks.check(self._call, asked, (model or self._model,), what=what, why=_WHY)


_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def _said(message: bytes, name: str) -> dict[str, msgspec.Raw]:
    """What an event says of how is answered."""
    try:
        fields = _decode(_decode(message).get(name, b"{}"))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}  # its upstream refuses it
    return {_FIRST_VERSION.get(field, field): raw for field, raw in fields.items()}


__all__ = ["EventChecks", "SessionChecks"]

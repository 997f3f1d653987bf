"""Answers of the admin API as they go out, and whatever goes wrong as one kind of error.

    {"error": {"message": "...", "type": "...", "param": null, "code": "..."}}

`code` is for programs; `message` says what happened and what to do.
"""

from collections.abc import Iterable

import msgspec

from headworks.admin.configuration import NotTaken
from headworks.admin.desk import Forbidden
from headworks.admin.pages import SAFETY
from headworks.admin.provider_keys import NotRunning
from headworks.errors import (
    CommandError,
    ConfigError,
    HeadworksError,
    OutOfDate,
    Refusal,
    StorageError,
    UnknownName,
)


class Answer(msgspec.Struct, frozen=True):
    """An answer. `headers` come beside those that every answer has."""

    status: int
    body: bytes
    kind: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()

    def header_block(self) -> bytes:
        """As the server sends it."""
        return header_block((("content-type", self.kind), *SAFETY, *self.headers))


def header_block(headers: Iterable[tuple[str, str]]) -> bytes:
    """Rendered headers."""
    return b"".join(f"{name}: {value}\r\n".encode("latin-1") for name, value in headers)


def refused(refusal: Refusal) -> Answer:
    """A refusal as an answer."""
    return Answer(refusal.status, refusal.body(), headers=refusal.headers)


def refusal_of(error: HeadworksError) -> Refusal:
    """What kind of refusal an error comes to."""
    match error:
        case Refusal():
            return error
        case Forbidden():
            return Refusal(403, "role_not_allowed", _sentence(error), kind="permission_error")
        case UnknownName():
            return Refusal(404, "not_found", _sentence(error), kind="not_found_error")
        case OutOfDate():
            return Refusal(412, "changed_meanwhile", _sentence(error))
        case NotRunning():
            return Refusal(503, "gateway_not_running", _sentence(error), kind="server_error")
        case NotTaken():
            return Refusal(409, "config_not_taken", _sentence(error))
        case CommandError():
            return Refusal(409, "cannot_be_done", _sentence(error))
        case ConfigError():
            return Refusal(422, "config_not_good", f"The configuration cannot be used: {error}")
        case StorageError():
            # The text names paths, which are for the operator's log.
            return Refusal(
                503,
                "storage_unavailable",
                "The gateway's state cannot be read or written at the moment: its log says why. Try again shortly.",
                kind="server_error",
                headers=(("retry-after", "5"),),
            )
        case _:
            return Refusal(
                500, "internal_error", "Something is wrong here: the gateway's log says what.", kind="server_error"
            )


def _sentence(error: HeadworksError) -> str:
    text = str(error)
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "?")) else f"{text}."

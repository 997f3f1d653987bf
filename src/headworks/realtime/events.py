"""The events of both sides, as far as they are read; all else in them is skipped, and passed on as it came."""

import msgspec

from headworks.errors import HeadworksError


class UnreadableEvent(HeadworksError):
    """What should be an event is no JSON object with a type. Its text names the place and never the content."""


class TokenDetails(msgspec.Struct, frozen=True):
    """Tokens by kind; cached ones are among the others."""

    text_tokens: int | None = None
    audio_tokens: int | None = None
    image_tokens: int | None = None
    cached_tokens: int | None = None
    cached_tokens_details: "TokenDetails | None" = None


class EventUsage(msgspec.Struct, frozen=True):
    """What a response used, or a transcription: of that the details are named otherwise, or there are `seconds`."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    input_token_details: TokenDetails | None = None
    output_token_details: TokenDetails | None = None
    seconds: float | None = None


class EventResponse(msgspec.Struct, frozen=True):
    """The response that an event is about."""

    id: str | None = None
    status: str | None = None
    usage: EventUsage | None = None


class Transcription(msgspec.Struct, frozen=True):
    """Which model writes down what the caller says."""

    model: str | None = None


class _AudioInput(msgspec.Struct, frozen=True):
    transcription: Transcription | None = None


class _Audio(msgspec.Struct, frozen=True):
    input: _AudioInput | None = None


class SessionSettings(msgspec.Struct, frozen=True):
    """A session's settings. `input_audio_transcription` is where the API's first version had them."""

    id: str | None = None
    type: str | None = None
    model: str | None = None
    audio: _Audio | None = None
    input_audio_transcription: Transcription | None = None

    @property
    def transcribes_with(self) -> str:
        """The model that transcribes; "" where these settings name none."""
        inner = None if self.audio is None or self.audio.input is None else self.audio.input.transcription
        found = inner or self.input_audio_transcription
        return "" if found is None else found.model or ""


class EventError(msgspec.Struct, frozen=True):
    """What was wrong, and with which event of the client."""

    code: str | None = None
    event_id: str | None = None


class ServerEvent(msgspec.Struct, frozen=True):
    """An event of the model's side."""

    type: str
    response: EventResponse | None = None
    session: SessionSettings | None = None
    usage: EventUsage | None = None
    error: EventError | None = None


class ClientEvent(msgspec.Struct, frozen=True):
    """An event of the caller's side."""

    type: str
    event_id: str | None = None
    session: SessionSettings | None = None


_decode_server = msgspec.json.Decoder(ServerEvent, strict=True).decode
_decode_client = msgspec.json.Decoder(ClientEvent, strict=True).decode


def read_server_event(message: bytes) -> ServerEvent:
    """The event that an upstream sent.

    Raises:
        UnreadableEvent: it is none, or says of usage what cannot be.
    """
    try:
        return _decode_server(message)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise UnreadableEvent("what the upstream sent is no event of the Realtime API") from None


def read_client_event(message: bytes) -> ClientEvent:
    """The event that a caller sent.

    Raises:
        UnreadableEvent: it is none.
    """
    try:
        return _decode_client(message)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise UnreadableEvent("a message is a JSON object with a `type`, as the Realtime API has its events") from None


def error_event(event_id: str, kind: str, code: str, message: str, *, about: str | None = None) -> bytes:
    """An error as the API tells it (`openai.types.realtime.RealtimeErrorEvent`).

    Arguments:
        kind: `server_error`, `invalid_request_error`, or what else the API calls such errors.
        about: the event of the client that it is about.
    """
    error = {"type": kind, "code": code, "message": message, "param": None, "event_id": about}
    return msgspec.json.encode({"type": "error", "event_id": event_id, "error": error})

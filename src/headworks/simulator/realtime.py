"""A session of the Realtime API: events in, events out, without a socket and without waiting.

    session = RealtimeSession(provider, visit, "gpt-realtime-2", model)
    for event in session.opening(): ...             # session.created
    for event in session.take(message): ...         # what follows at once from an event of the client
    event = session.next_event()                    # of what is being said; None while nothing is

Sound is speech where any of its samples is not zero. With the default turn detection a silence behind speech has the
session answer, as the API does.
"""

import base64
import binascii
from collections import deque
from collections.abc import Callable, Iterator
from typing import ClassVar

import msgspec

from headworks.calls import Endpoint
from headworks.simulator.answers import Answer
from headworks.simulator.asking import Ask
from headworks.simulator.chance import identifier
from headworks.simulator.generation import FAILURE_MESSAGES
from headworks.simulator.plan import Model
from headworks.simulator.provider import Provider, Visit
from headworks.simulator.realtime_speech import (
    INPUT_BYTES_PER_TOKEN,
    SAMPLE_BYTES_PER_MS,
    Json,
    Planned,
    Read,
    Speaking,
)
from headworks.simulator.rejection import Rejection, invalid_value, missing
from headworks.simulator.responses_asking import ResponsesBody, input_items, responses_ask
from headworks.simulator.tokens import IMAGE_TOKENS, count

_AUDIO = ("input_audio", "audio")
_VAD_MS = 500


class _ClientEvent(msgspec.Struct):
    type: str = ""
    event_id: str | None = None
    session: Json = {}
    item: Json = {}
    response: Json = {}
    audio: str = ""
    item_id: str = ""
    previous_item_id: str | None = None
    response_id: str | None = None
    audio_end_ms: int = 0


class RealtimeSession:
    """One session.

    State: its settings, its conversation, the sound that has come and is not yet an item, whether somebody is speaking
    and for how long it has been silent, the responses that are under way, and what was read by the last one.
    """

    def __init__(self, provider: Provider, visit: Visit, model_id: str, model: Model) -> None:
        self._provider = provider
        self._visit = visit
        self._model_id = model_id
        self._model = model
        self._ids = 0
        self._conversation_id = self._make_id("conv_")
        self._items: dict[str, Json] = {}
        self._sound = bytearray()
        self._is_speaking = False
        self._silent_ms = 0
        self._heard_ms = 0
        self._speaking: deque[tuple[Speaking, Iterator[Planned]]] = deque()
        self._read = Read()
        self._event_id: str | None = None
        self._settings = _settings(self._make_id("sess_"), model_id, int(visit.now))
        self._content = 0

    def opening(self) -> list[Planned]:
        """What the session begins with."""
        return [self._event("session.created", session=self._settings)]

    def take(self, message: bytes) -> list[Planned]:
        """What follows at once from an event of the client."""
        self._event_id = None
        try:
            event = msgspec.json.decode(message, type=_ClientEvent)
            self._event_id = event.event_id
            act = self._acts.get(event.type)
            if act is None:
                raise invalid_value("type", f"Invalid value: '{event.type}'.")
            return act(self, event)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return [self._error(Rejection(400, "The event could not be parsed.", code="invalid_json"))]
        except Rejection as refused:
            return [self._error(refused)]

    def next_event(self) -> Planned | None:
        """The next event of the responses under way; None while there is none."""
        while self._speaking:
            one, events = self._speaking[0]
            failing = self._visit.failure
            if failing is not None and self._content >= failing.after_content and not one.is_over:
                self._visit.failure = None
                self._speaking.popleft()
                return self._named(one.failed(failing.code, FAILURE_MESSAGES[failing.code]))
            planned = next(events, None)
            if planned is None:
                self._speaking.popleft()
                continue
            self._content += planned.is_content
            return self._named(planned)
        return None

    # -- events of the client -------------------------------------------------------------------------------------

    def _update(self, event: _ClientEvent) -> list[Planned]:
        _merge(self._settings, event.session)
        return [self._event("session.updated", session=self._settings)]

    def _create_item(self, event: _ClientEvent) -> list[Planned]:
        item = dict(event.item)
        if "type" not in item:
            raise missing("item.type")
        return self._added(item)

    def _added(self, item: Json) -> list[Planned]:
        previous = next(reversed(self._items), None)
        item = {"id": self._make_id("item_"), "object": "realtime.item", "status": "completed", **item}
        self._items[str(item["id"])] = item
        shown = _without_sound(item)
        return [
            self._event("conversation.item.added", previous_item_id=previous, item=shown),
            self._event("conversation.item.done", previous_item_id=previous, item=shown),
        ]

    def _delete_item(self, event: _ClientEvent) -> list[Planned]:
        if self._items.pop(event.item_id, None) is None:
            raise invalid_value("item_id", f"The item with id '{event.item_id}' does not exist.")
        return [self._event("conversation.item.deleted", item_id=event.item_id)]

    def _retrieve_item(self, event: _ClientEvent) -> list[Planned]:
        item = self._items.get(event.item_id)
        if item is None:
            raise invalid_value("item_id", f"The item with id '{event.item_id}' does not exist.")
        return [self._event("conversation.item.retrieved", item=item)]

    def _truncate_item(self, event: _ClientEvent) -> list[Planned]:
        fields: Json = {"item_id": event.item_id, "content_index": 0, "audio_end_ms": event.audio_end_ms}
        return [Planned("conversation.item.truncated", {"event_id": self._make_id("event_"), **fields})]

    def _append(self, event: _ClientEvent) -> list[Planned]:
        try:
            sound = base64.b64decode(event.audio, validate=True)
        except binascii.Error:
            raise invalid_value("audio", "Invalid 'audio'. Expected base64-encoded audio bytes.") from None
        self._sound += sound
        self._heard_ms += len(sound) // SAMPLE_BYTES_PER_MS
        detection = self._detection()
        if detection is None:
            return []
        return self._listen(sound, detection)

    def _listen(self, sound: bytes, detection: Json) -> list[Planned]:
        """Turn detection: speech begins, and ends with a silence."""
        if any(sound):
            self._silent_ms = 0
            if self._is_speaking:
                return []
            self._is_speaking = True
            events = [self._event("input_audio_buffer.speech_started", audio_start_ms=self._heard_ms, item_id="item")]
            if self._speaking and detection.get("interrupt_response", True):
                events += self._broken_off("turn_detected")
            return events
        self._silent_ms += len(sound) // SAMPLE_BYTES_PER_MS
        wanted = detection.get("silence_duration_ms")
        if not self._is_speaking or self._silent_ms < (wanted if isinstance(wanted, int) else _VAD_MS):
            return []
        stopped = self._event("input_audio_buffer.speech_stopped", audio_end_ms=self._heard_ms, item_id="item")
        events = [stopped, *self._committed()]
        return events + (self._begun({}) if detection.get("create_response", True) else [])

    def _commit(self, _: _ClientEvent) -> list[Planned]:
        if not self._sound:
            raise Rejection(
                400,
                "Error committing input audio buffer: buffer too small.",
                code="input_audio_buffer_commit_empty",
            )
        return self._committed()

    def _committed(self) -> list[Planned]:
        sound = bytes(self._sound)
        self._clear_sound()
        words = f"audio of {len(sound) // SAMPLE_BYTES_PER_MS} ms"
        part: Json = {"type": "input_audio", "audio": base64.b64encode(sound).decode(), "transcript": words}
        previous = next(reversed(self._items), None)
        added = self._added({"type": "message", "role": "user", "content": [part]})
        item_id = str(next(reversed(self._items)))
        committed = self._event("input_audio_buffer.committed", previous_item_id=previous, item_id=item_id)
        return [committed, *added, *self._transcribed(item_id, words, sound)]

    def _transcribed(self, item_id: str, words: str, sound: bytes) -> list[Planned]:
        settings = _inner(self._settings, "audio", "input").get("transcription")
        if not isinstance(settings, dict):
            return []
        heard, written = len(sound) // INPUT_BYTES_PER_TOKEN, count(words)
        usage: Json = {"type": "tokens", "total_tokens": heard + written, "input_tokens": heard}
        usage |= {"output_tokens": written, "input_token_details": {"text_tokens": 0, "audio_tokens": heard}}
        if settings.get("model") == "whisper-1":
            usage = {"type": "duration", "seconds": len(sound) / SAMPLE_BYTES_PER_MS / 1000}
        kind = "conversation.item.input_audio_transcription"
        place: Json = {"item_id": item_id, "content_index": 0}
        return [
            self._named(Planned(f"{kind}.delta", {**place, "delta": words})),
            self._named(Planned(f"{kind}.completed", {**place, "transcript": words, "usage": usage})),
        ]

    def _clear(self, _: _ClientEvent) -> list[Planned]:
        self._clear_sound()
        return [self._event("input_audio_buffer.cleared")]

    def _clear_sound(self) -> None:
        self._sound.clear()
        self._is_speaking, self._silent_ms = False, 0

    def _respond(self, event: _ClientEvent) -> list[Planned]:
        if self._speaking and event.response.get("conversation") != "none":
            raise Rejection(
                400,
                f"Conversation already has an active response in progress: {self._speaking[0][0].id}. "
                "Wait until the response is finished before creating a new one.",
                code="conversation_already_has_active_response",
            )
        return self._begun(event.response)

    def _cancel(self, _: _ClientEvent) -> list[Planned]:
        if not self._speaking:
            raise Rejection(400, "Cancellation failed: no active response found", code="response_cancel_not_active")
        return self._broken_off("client_cancelled")

    # -- responses ------------------------------------------------------------------------------------------------

    def _begun(self, wishes: Json) -> list[Planned]:
        is_apart = wishes.get("conversation") == "none"
        given = wishes.get("input")
        items = [one for one in given if isinstance(one, dict)] if isinstance(given, list) else self._items.values()
        modalities = wishes.get("output_modalities") or self._settings.get("output_modalities")
        answer, error, read = self._answer(list(items), wishes)
        if not is_apart:
            self._read = read
        one = Speaking(
            self._make_id("resp_"),
            None if is_apart else self._conversation_id,
            answer,
            read,
            self._provider.rhythm(self._visit, self._model),
            is_spoken=modalities != ["text"],
            metadata=wishes.get("metadata"),
            make_id=self._make_id,
            keep=self._keep,
            error=error,
        )
        self._speaking.append((one, one.events()))
        created = self._event("response.created", response=one.value("in_progress"))
        limits = [{"name": "requests", "limit": 1000, "remaining": 999, "reset_seconds": 0.06}]
        return [created, self._event("rate_limits.updated", rate_limits=limits)]

    def _answer(self, items: list[Json], wishes: Json) -> tuple[Answer | None, Json | None, Read]:
        read = self._tokens(items)
        try:
            ask = self._ask(items, wishes)
            self._provider.admit(self._visit, self._model_id, read.text + read.audio)
            return self._provider.write(ask)[0], None, read
        except Rejection as refused:
            return None, {"type": refused.kind, "code": refused.code, "message": refused.message}, read

    def _ask(self, items: list[Json], wishes: Json) -> Ask:
        """What the model is asked, in the words of the Responses API, which has the same items."""
        settings = {**self._settings, **wishes}
        limit = settings.get("max_output_tokens")
        body = ResponsesBody(
            model=self._model_id,
            input=msgspec.Raw(msgspec.json.encode([_as_responses(item) for item in items] or "")),
            instructions=str(settings.get("instructions") or "") or None,
            tools=msgspec.Raw(msgspec.json.encode(settings.get("tools") or [])),
            tool_choice=msgspec.Raw(msgspec.json.encode(settings.get("tool_choice") or "auto")),
            max_output_tokens=limit if isinstance(limit, int) else None,
        )
        ask = responses_ask(body, (), input_items(body), self._model)
        return msgspec.structs.replace(ask, endpoint=Endpoint.REALTIME)

    def _tokens(self, items: list[Json]) -> Read:
        text = count(str(self._settings.get("instructions") or ""))
        audio = image = 0
        for item in items:
            for part in _parts(item):
                if part.get("type") in _AUDIO:
                    audio += len(base64.b64decode(str(part.get("audio") or ""))) // INPUT_BYTES_PER_TOKEN
                elif part.get("type") == "input_image":
                    image += IMAGE_TOKENS
                else:
                    text += count(str(part.get("text") or part.get("transcript") or ""))
            text += count(str(item.get("arguments") or "") + str(item.get("output") or ""))
        before = self._read
        return Read(text, audio, image, min(text, before.text), min(audio, before.audio))

    def _broken_off(self, reason: str) -> list[Planned]:
        one, _ = self._speaking.popleft()
        return [] if one.is_over else [self._named(one.broken_off(reason))]

    def _keep(self, item: Json) -> None:
        self._items[str(item["id"])] = item

    def _detection(self) -> Json | None:
        found = _inner(self._settings, "audio", "input").get("turn_detection")
        return found if isinstance(found, dict) else None

    # -- words ----------------------------------------------------------------------------------------------------

    def _event(self, kind: str, **fields: object) -> Planned:
        return self._named(Planned(kind, fields))

    def _named(self, planned: Planned) -> Planned:
        planned.fields = {"type": planned.kind, "event_id": self._make_id("event_"), **planned.fields}
        return planned

    def _error(self, refused: Rejection) -> Planned:
        return self._event("error", error={**refused.error_object(), "event_id": self._event_id})

    def _make_id(self, beginning: str) -> str:
        self._ids += 1
        return identifier(beginning, self._provider.plan.seed, self._visit.unique, b"%d" % self._ids)[:29]

    _acts: ClassVar[dict[str, Callable[["RealtimeSession", _ClientEvent], list[Planned]]]] = {
        "session.update": _update,
        "conversation.item.create": _create_item,
        "conversation.item.delete": _delete_item,
        "conversation.item.retrieve": _retrieve_item,
        "conversation.item.truncate": _truncate_item,
        "input_audio_buffer.append": _append,
        "input_audio_buffer.commit": _commit,
        "input_audio_buffer.clear": _clear,
        "response.create": _respond,
        "response.cancel": _cancel,
    }


def _settings(session_id: str, model: str, now: int) -> Json:
    sound: Json = {"type": "audio/pcm", "rate": 24000}
    detection: Json = {"type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 200}
    detection |= {"idle_timeout_ms": None, "create_response": True, "interrupt_response": True}
    heard: Json = {"format": sound, "transcription": None, "noise_reduction": None, "turn_detection": detection}
    return {
        "type": "realtime",
        "object": "realtime.session",
        "id": session_id,
        "model": model,
        "output_modalities": ["audio"],
        "instructions": "",
        "tools": [],
        "tool_choice": "auto",
        "max_output_tokens": "inf",
        "tracing": None,
        "truncation": "auto",
        "expires_at": now + 3600,
        "audio": {"input": heard, "output": {"format": sound, "voice": "alloy", "speed": 1.0}},
        "include": None,
    }


def _merge(settings: Json, changes: Json) -> None:
    """Take over what is given; of mappings, what is in them."""
    for name, value in changes.items():
        known = settings.get(name)
        if isinstance(known, dict) and isinstance(value, dict):
            _merge(known, value)
        elif name != "model":
            settings[name] = value


def _inner(value: Json, *names: str) -> Json:
    for name in names:
        found = value.get(name)
        value = found if isinstance(found, dict) else {}
    return value


def _parts(item: Json) -> list[Json]:
    content = item.get("content")
    return [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []


def _without_sound(item: Json) -> Json:
    """The item as it is shown: what was said, and not the sound of it."""
    parts = [{name: value for name, value in part.items() if name != "audio"} for part in _parts(item)]
    return {**item, "content": parts} if parts else item


def _as_responses(item: Json) -> Json:
    if item.get("type") != "message":
        return {
            name: value for name, value in item.items() if name in ("type", "call_id", "name", "arguments", "output")
        }
    is_ours = item.get("role") == "assistant"
    parts: list[Json] = []
    for part in _parts(item):
        if part.get("type") == "input_image":
            parts.append({"type": "input_image", "image_url": part.get("image_url")})
        else:
            words = str(part.get("text") or part.get("transcript") or "audio")
            parts.append({"type": "output_text" if is_ours else "input_text", "text": words})
    return {"type": "message", "role": item.get("role"), "content": parts}

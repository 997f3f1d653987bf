"""Images, speech and transcriptions: small, valid files derived from the request."""

import base64
import math
import re
import struct
import zlib
from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Raw

from headworks.simulator.chance import digest
from headworks.simulator.decoding import ABSENT
from headworks.simulator.rejection import Rejection, invalid_value, missing, not_json
from headworks.simulator.rhythm import Rhythm
from headworks.simulator.script import Beat
from headworks.simulator.tokens import BYTES_PER_TOKEN, count, split

_PIXELS = 8
_IMAGE_OUTPUT_TOKENS = 1056
"""Output tokens of one image of medium quality and 1024 by 1024 (OpenAI image-generation guide)."""

_SAMPLES_PER_S = 24_000
_SAMPLES_PER_TOKEN = 2400
_MP3_FRAME = bytes.fromhex("fffb9064") + bytes(413)
"""One silent frame of MPEG-1 layer III: 128 kbit/s, 44.1 kHz, 417 bytes, 26 ms."""

_BYTES_PER_AUDIO_S = 16_000


class ImagesBody(msgspec.Struct):
    """The body of POST /v1/images/generations."""

    prompt: str
    model: str | None = None
    n: Annotated[int, Meta(ge=1, le=10)] | None = None
    size: str | None = None
    quality: Literal["low", "medium", "high", "xhigh", "max", "auto"] | None = None
    background: Literal["transparent", "opaque", "auto"] | None = None
    output_format: Literal["png"] | None = None
    response_format: Raw = ABSENT
    stream: bool | None = None


def images(body: ImagesBody, created: int, seed: int) -> dict[str, object]:
    """The answer to a request: PNG files of eight by eight pixels in a colour of the prompt."""
    wanted = body.n or 1
    return {
        "created": created,
        **_image_settings(body),
        "data": [{"b64_json": _png_base64(body.prompt, seed, index)} for index in range(wanted)],
        "usage": _image_usage(body.prompt, wanted),
    }


def image_beats(body: ImagesBody, created: int, seed: int) -> Iterator[Beat]:
    """The stream of a request: the finished image, without partial ones."""
    event = {
        "type": "image_generation.completed",
        "created_at": created,
        "b64_json": _png_base64(body.prompt, seed, 0),
        **_image_settings(body),
        "usage": _image_usage(body.prompt, 1),
    }
    yield Beat(b"event: image_generation.completed\ndata: %b\n\n" % msgspec.json.encode(event), is_content=True)


def _image_settings(body: ImagesBody) -> dict[str, object]:
    return {
        "background": "transparent" if body.background == "transparent" else "opaque",
        "output_format": "png",
        "quality": body.quality if body.quality not in {None, "auto"} else "medium",
        "size": body.size if body.size not in {None, "auto"} else "1024x1024",
    }


def _image_usage(prompt: str, images_made: int) -> dict[str, object]:
    read, made = count(prompt), images_made * _IMAGE_OUTPUT_TOKENS
    return {
        "input_tokens": read,
        "input_tokens_details": {"text_tokens": read, "image_tokens": 0},
        "output_tokens": made,
        "output_tokens_details": {"text_tokens": 0, "image_tokens": made},
        "total_tokens": read + made,
    }


def _png_base64(prompt: str, seed: int, index: int) -> str:
    colour = digest(seed, "image", prompt, b"%d" % index)[:3]
    rows = (b"\x00" + colour * _PIXELS) * _PIXELS
    header = struct.pack(">IIBBBBB", _PIXELS, _PIXELS, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )
    return base64.b64encode(png).decode()


class SpeechBody(msgspec.Struct):
    """The body of POST /v1/audio/speech."""

    input: str
    voice: Raw
    model: str | None = None
    response_format: Literal["mp3", "opus", "aac", "flac", "wav", "pcm"] | None = None
    stream_format: Literal["audio", "sse"] | None = None
    speed: Annotated[float, Meta(ge=0.25, le=4)] | None = None
    instructions: str | None = None


SPEECH_TYPES = {"mp3": b"audio/mpeg", "wav": b"audio/wav", "pcm": b"audio/pcm"}


def check_speech(body: SpeechBody) -> str:
    """The format of the audio. Raises Rejection for what the simulator cannot encode."""
    form = body.response_format or "mp3"
    if form not in SPEECH_TYPES:
        raise invalid_value("response_format", f"The simulator makes mp3, wav and pcm, not '{form}'.")
    if not body.input:
        raise invalid_value("input", "Invalid 'input': string too short. Expected a string with minimum length 1.")
    return form


def speech_beats(body: SpeechBody, rhythm: Rhythm) -> Iterator[Beat]:
    """The audio, one piece a token of the text: a soft tone (WAV, PCM), or silence (MP3)."""
    form = check_speech(body)
    is_sse = body.stream_format == "sse"
    tokens = split(body.input)
    delays = rhythm.delays()
    for index in range(len(tokens)):
        audio = _MP3_FRAME * 4 if form == "mp3" else _tone(index)
        if form == "wav" and not index:
            audio = _wav_header(len(tokens) * _SAMPLES_PER_TOKEN) + audio
        data = audio
        if is_sse:
            data = _speech_event({"type": "speech.audio.delta", "audio": base64.b64encode(audio).decode()})
        yield Beat(data, next(delays), is_content=True)
    if is_sse:
        usage = {"input_tokens": len(tokens), "output_tokens": len(tokens), "total_tokens": 2 * len(tokens)}
        yield Beat(_speech_event({"type": "speech.audio.done", "usage": usage}))


def _speech_event(value: dict[str, object]) -> bytes:
    return b"data: %b\n\n" % msgspec.json.encode(value)


def _tone(index: int) -> bytes:
    """A tenth of a second of a quiet sine; the phase runs on from piece to piece."""
    step = 2 * math.pi * 220 / _SAMPLES_PER_S
    start = index * _SAMPLES_PER_TOKEN
    samples = (int(1000 * math.sin(step * (start + number))) for number in range(_SAMPLES_PER_TOKEN))
    return struct.pack(f"<{_SAMPLES_PER_TOKEN}h", *samples)


def _wav_header(samples: int) -> bytes:
    """RIFF header of 16-bit mono."""
    size = samples * 2
    return (
        struct.pack("<4sI4s", b"RIFF", 36 + size, b"WAVE")
        + struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, _SAMPLES_PER_S, _SAMPLES_PER_S * 2, 2, 16)
        + struct.pack("<4sI", b"data", size)
    )


class Upload(msgspec.Struct, frozen=True):
    """A multipart form (RFC 7578): its text fields, and the one file with its name."""

    fields: dict[str, str]
    filename: str
    file: bytes


_BOUNDARY = re.compile(rb'boundary="?([^";,]+)"?', re.IGNORECASE)
_FIELD = re.compile(rb'[;\s]name="([^"]*)"', re.IGNORECASE)
_FILENAME = re.compile(rb'filename="([^"]*)"', re.IGNORECASE)


def read_upload(content_type: bytes, body: bytes) -> Upload:
    """The form in a body. Raises Rejection if it is none, or has no file."""
    found = _BOUNDARY.search(content_type)
    if not content_type.lower().startswith(b"multipart/form-data") or not found:
        raise not_json()
    fields: dict[str, str] = {}
    file: tuple[str, bytes] | None = None
    for part in (b"\r\n" + body).split(b"\r\n--" + found[1])[1:]:
        head, separator, data = part.partition(b"\r\n\r\n")
        name = _FIELD.search(head)
        if not separator or not name:
            continue
        filename = _FILENAME.search(head)
        if filename:
            file = (filename[1].decode("utf-8", "replace"), data)
        else:
            fields[name[1].decode("utf-8", "replace")] = data.decode("utf-8", "replace")
    if file is None:
        raise missing("file")
    return Upload(fields, *file)


def transcript(upload: Upload) -> str:
    """What was heard: a sentence that names the file."""
    return f"This is what was said in {upload.filename or 'the recording'}."


def transcription(upload: Upload, text: str) -> tuple[bytes, bytes]:
    """The content type and body of the answer in the format that the form asks for. Raises Rejection."""
    form = upload.fields.get("response_format", "json")
    seconds = round(len(upload.file) / _BYTES_PER_AUDIO_S, 2)
    read, made = max(1, len(upload.file) // (BYTES_PER_TOKEN * 100)), count(text)
    usage: dict[str, object] = {
        "type": "tokens",
        "input_tokens": read,
        "input_token_details": {"audio_tokens": read, "text_tokens": 0},
        "output_tokens": made,
        "total_tokens": read + made,
    }
    if form == "text":
        return b"text/plain; charset=utf-8", f"{text}\n".encode()
    if form == "verbose_json":
        value = {
            "task": "transcribe",
            "language": upload.fields.get("language", "english"),
            "duration": seconds,
            "text": text,
            "segments": [],
            "usage": {"type": "duration", "seconds": seconds},
        }
        return b"application/json", msgspec.json.encode(value)
    if form == "json":
        return b"application/json", msgspec.json.encode({"text": text, "usage": usage})
    raise Rejection(
        400,
        f"Invalid value: '{form}'. Supported values are: 'json', 'text', and 'verbose_json'.",
        code="invalid_value",
        param="response_format",
    )


def transcription_beats(text: str, rhythm: Rhythm) -> Iterator[Beat]:
    """The stream of a transcription: `transcript.text.delta` events, then `transcript.text.done`."""
    delays = rhythm.delays()
    for piece in split(text):
        delta: dict[str, object] = {"type": "transcript.text.delta", "delta": piece}
        yield Beat(_speech_event(delta), next(delays), is_content=True)
    made = count(text)
    usage = {"type": "tokens", "input_tokens": made, "output_tokens": made, "total_tokens": 2 * made}
    yield Beat(_speech_event({"type": "transcript.text.done", "text": text, "usage": usage}))

import base64
import io
import math
import struct
import wave
import zlib

import pytest
from openai.types import CreateEmbeddingResponse, ImagesResponse, Model, ModerationCreateResponse
from openai.types.audio import Transcription, TranscriptionVerbose
from openai.types.image_gen_completed_event import ImageGenCompletedEvent

from headworks.simulator.plan import BUILT_IN_MODELS


def embed(desk, *texts, **fields):
    body = {"model": "text-embedding-3-small", "input": list(texts), **fields}
    return desk.json("POST", "/v1/embeddings", body)


def likeness(first, second):
    return sum(a * b for a, b in zip(first, second, strict=True))


def test_embeddings_are_unit_vectors_of_the_wanted_size(desk):
    for fields, size in (({}, 1536), ({"dimensions": 64}, 64)):
        value = embed(desk, "The lighthouse keeper", "日本語", "x", **fields)
        CreateEmbeddingResponse.model_validate(value, strict=True)
        assert [item["index"] for item in value["data"]] == [0, 1, 2]
        for item in value["data"]:
            assert len(item["embedding"]) == size
            assert math.isclose(likeness(item["embedding"], item["embedding"]), 1, rel_tol=1e-5)


def test_similar_texts_are_closer_than_others(desk):
    data = embed(desk, "My card was stolen", "my cards were stolen yesterday", "Opening hours in Lyon")["data"]
    card, cards, hours = (item["embedding"] for item in data)
    assert likeness(card, cards) > 0.4 > likeness(card, hours)


def test_base64_holds_the_same_numbers(desk):
    plain = embed(desk, "Hi")["data"][0]["embedding"]
    packed = base64.b64decode(embed(desk, "Hi", encoding_format="base64")["data"][0]["embedding"])
    assert list(struct.unpack("<1536f", packed)) == pytest.approx(plain, rel=1e-6)


def test_the_sdk_reads_embeddings_in_its_own_default_encoding(desk):
    client = desk.client(is_strict=False)
    made = client.embeddings.create(model="text-embedding-3-small", input=["a", "b"])
    assert len(made.data[1].embedding) == 1536
    assert made.usage.total_tokens == 2


@pytest.mark.parametrize(("value", "vectors", "tokens"), [("Hi", 1, 1), ([1, 2, 3], 1, 3), ([[1, 2], [3]], 2, 3)])
def test_texts_and_tokens_in_all_their_forms(desk, value, vectors, tokens):
    made = desk.json("POST", "/v1/embeddings", {"model": "text-embedding-3-small", "input": value})
    assert (len(made["data"]), made["usage"]["prompt_tokens"]) == (vectors, tokens)


def test_moderation_flags_what_is_telling(desk):
    value = desk.json("POST", "/v1/moderations", {"input": ["I will kill you", "What a nice day"]})
    ModerationCreateResponse.model_validate(value, strict=True)
    bad, good = value["results"]
    assert bad["flagged"] is bad["categories"]["violence"] is True
    assert good["flagged"] is False
    parts = [{"type": "text", "text": "Look"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}]
    (seen,) = desk.json("POST", "/v1/moderations", {"input": parts})["results"]
    assert seen["category_applied_input_types"]["violence"] == ["text", "image"]


def test_an_image_is_a_valid_png(desk):
    value = desk.json("POST", "/v1/images/generations", {"model": "gpt-image-1", "prompt": "A lighthouse", "n": 2})
    ImagesResponse.model_validate(value, strict=True)
    png = base64.b64decode(value["data"][1]["b64_json"])
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", png[16:24]) == (8, 8)
    start = png.index(b"IDAT") + 4
    assert len(zlib.decompress(png[start:])) == 8 * 25
    assert value["data"][0] != value["data"][1]


def test_a_streamed_image_is_one_event(desk):
    (event,) = desk.events("/v1/images/generations", {"prompt": "A lighthouse", "stream": True})
    ImageGenCompletedEvent.model_validate(event, strict=True)


def speak(desk, **fields):
    return desk.ask(
        "POST", "/v1/audio/speech", {"model": "gpt-4o-mini-tts", "voice": "coral", "input": "Hello", **fields}
    )


def test_speech_is_a_playable_wav(desk):
    script = speak(desk, response_format="wav", input="Hello there, lighthouse keeper")
    assert script.headers[b"content-type"] == b"audio/wav"
    with wave.open(io.BytesIO(b"".join(beat.data for beat in script.beats))) as audio:
        assert (audio.getnchannels(), audio.getframerate(), audio.getsampwidth()) == (1, 24_000, 2)
        assert audio.getnframes() == len(audio.readframes(10**9)) // 2 > 2400


def test_speech_is_mp3_by_default_in_whole_frames(desk):
    script = speak(desk)
    audio = b"".join(beat.data for beat in script.beats)
    assert script.headers[b"content-type"] == b"audio/mpeg"
    assert len(audio) % 417 == 0
    assert all(audio[start : start + 2] == b"\xff\xfb" for start in range(0, len(audio), 417))


def test_speech_can_come_as_events(desk):
    events = desk.events(
        "/v1/audio/speech",
        {
            "model": "gpt-4o-mini-tts",
            "voice": "coral",
            "input": "Hello you",
            "stream_format": "sse",
            "response_format": "pcm",
        },
    )
    assert [event["type"] for event in events] == ["speech.audio.delta", "speech.audio.delta", "speech.audio.done"]
    assert len(base64.b64decode(events[0]["audio"])) == 4800


@pytest.mark.parametrize(("form", "kind"), [("json", Transcription), ("verbose_json", TranscriptionVerbose)])
def test_a_transcription_through_the_sdk(desk, form, kind):
    made = desk.client().audio.transcriptions.create(
        model="gpt-4o-mini-transcribe", file=("memo.wav", b"RIFF" * 1000), response_format=form
    )
    assert isinstance(made, kind)
    assert "memo.wav" in made.text


def test_a_transcription_as_text_and_as_a_stream(desk):
    client = desk.client()
    recording = ("memo.wav", b"RIFF" * 1000)
    text = client.audio.transcriptions.create(model="gpt-4o-mini-transcribe", file=recording, response_format="text")
    assert text.strip() == "This is what was said in memo.wav."
    events = list(client.audio.transcriptions.create(model="gpt-4o-mini-transcribe", file=recording, stream=True))
    assert "".join(event.delta for event in events[:-1]) == events[-1].text == text.strip()


@pytest.mark.parametrize(
    "form",
    [
        b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\ngpt-4o-mini-transcribe\r\n--b--\r\n',
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nx\r\n--b--\r\n',
        b"nothing",
    ],
)
def test_a_form_without_file_or_model_is_a_400(desk, form):
    desk.json("POST", "/v1/audio/transcriptions", form, status=400, content_type="multipart/form-data; boundary=b")


def test_models_are_listed_with_their_shutdown_dates(desk):
    models = {model.id: model for model in desk.client().models.list()}
    assert models.keys() == BUILT_IN_MODELS.keys()
    assert models["gpt-4o-mini-tts"].shutdown_date == "2027-01-06"
    one = desk.json("GET", "/v1/models/gpt-6-luna")
    Model.model_validate(one, strict=True)
    assert one["shutdown_date"] is None

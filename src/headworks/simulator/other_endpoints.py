"""The endpoints that make anything but text: embeddings, moderations, images, audio; and the list of models."""

import msgspec

from headworks.calls import Endpoint
from headworks.simulator.asking import Ask, Segment
from headworks.simulator.decoding import decoded
from headworks.simulator.embeddings import EmbeddingsBody, embeddings
from headworks.simulator.media import (
    SPEECH_TYPES,
    ImagesBody,
    SpeechBody,
    check_speech,
    image_beats,
    images,
    read_upload,
    speech_beats,
    transcript,
    transcription,
    transcription_beats,
)
from headworks.simulator.moderations import ModerationsBody, moderation
from headworks.simulator.plan import Model
from headworks.simulator.provider import Provider, Visit
from headworks.simulator.rejection import Rejection, missing
from headworks.simulator.script import EVENT_STREAM, Script, plain, stream
from headworks.simulator.tokens import count


def create_embeddings(provider: Provider, visit: Visit) -> Script:
    """POST /v1/embeddings"""
    body = decoded(visit.request.body, EmbeddingsBody)
    if body.model is None:
        raise Rejection(400, "you must provide a model parameter")
    name, model = provider.model(body.model, "embedding", Endpoint.EMBEDDINGS, visit.now)
    value = embeddings(body, name, model)
    usage = value["usage"]
    assert isinstance(usage, dict)
    provider.admit(visit, name, usage["total_tokens"])
    return _json(value, provider.rhythm(visit, model).first_token_s)


def create_moderation(provider: Provider, visit: Visit) -> Script:
    """POST /v1/moderations"""
    body = decoded(visit.request.body, ModerationsBody)
    wanted = body.model or "omni-moderation-latest"
    name, model = provider.model(wanted, "moderation", Endpoint.MODERATIONS, visit.now)
    value = moderation(body, name, provider.plan.seed, visit.unique)
    provider.admit(visit, name, 0)
    return _json(value, provider.rhythm(visit, model).first_token_s)


def create_image(provider: Provider, visit: Visit) -> Script:
    """POST /v1/images/generations"""
    body = decoded(visit.request.body, ImagesBody)
    name, model = provider.model(body.model or "gpt-image-1", "image", Endpoint.IMAGES, visit.now)
    provider.admit(visit, name, count(body.prompt))
    delay_s = provider.rhythm(visit, model).first_token_s
    if body.stream:
        return stream(image_beats(body, int(visit.now), provider.plan.seed), delay_s=delay_s)
    return _json(images(body, int(visit.now), provider.plan.seed), delay_s)


def create_speech(provider: Provider, visit: Visit) -> Script:
    """POST /v1/audio/speech"""
    body = decoded(visit.request.body, SpeechBody)
    if body.model is None:
        raise missing("model")
    name, model = provider.model(body.model, "speech", Endpoint.AUDIO, visit.now)
    form = check_speech(body)
    provider.admit(visit, name, count(body.input))
    rhythm = provider.rhythm(visit, model)
    content_type = EVENT_STREAM if body.stream_format == "sse" else SPEECH_TYPES[form]
    return stream(speech_beats(body, rhythm), delay_s=rhythm.first_token_s, content_type=content_type)


def create_transcription(provider: Provider, visit: Visit) -> Script:
    """POST /v1/audio/transcriptions"""
    upload = read_upload(visit.request.headers.get(b"content-type", b""), visit.request.body)
    if "model" not in upload.fields:
        raise missing("model")
    name, model = provider.model(upload.fields["model"], "transcription", Endpoint.AUDIO, visit.now)
    provider.admit(visit, name, 0)
    text = _heard(provider, name, model, transcript(upload), upload.filename)
    rhythm = provider.rhythm(visit, model)
    if upload.fields.get("stream") == "true":
        return stream(transcription_beats(text, rhythm), delay_s=rhythm.first_token_s)
    content_type, body = transcription(upload, text)
    return plain(200, body, content_type=content_type, delay_s=rhythm.total_s(count(text)))


def list_models(provider: Provider, _: Visit) -> Script:
    """GET /v1/models"""
    data = [_shown(name, model) for name, model in provider.plan.models.items()]
    return _json({"object": "list", "data": data})


def retrieve_model(provider: Provider, _: Visit, name: str) -> Script:
    """GET /v1/models/{id}"""
    model = provider.plan.models.get(name)
    if model is None:
        raise Rejection(404, f"The model '{name}' does not exist", code="model_not_found", param="model")
    return _json(_shown(name, model))


def _shown(name: str, model: Model) -> dict[str, object]:
    return {
        "id": name,
        "object": "model",
        "created": model.created,
        "owned_by": "system",
        "shutdown_date": model.shutdown_date,
    }


def _heard(provider: Provider, name: str, model: Model, heard: str, filename: str) -> str:
    """The transcript; a rule may script it by the name of the file."""
    ask = Ask(Endpoint.AUDIO, name, model, (Segment(filename),), filename)
    line = provider.author.scripted_line(ask)
    return line.filled(line.say.text) if line and line.say.text is not None else heard


def _json(value: object, delay_s: float = 0.0) -> Script:
    return plain(200, msgspec.json.encode(value), delay_s=delay_s)

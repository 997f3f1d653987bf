"""What a provider's kind implies: where it is, and which parts of the API it serves."""

import re
from typing import Literal
from urllib.parse import quote

OPENAI_BASE_URL = "https://api.openai.com/v1"
"""Where the OpenAI API is (API reference, 2026-11)."""

ANTHROPIC_BASE_URL = "https://api.anthropic.com/v1"
"""Where Anthropic's API is (API reference, 2026-11)."""

GEMINI_BASE_URL = "https://generativelanguage.googleapis.com/v1beta"
"""Where the Gemini API of Google's AI Studio is (API reference, 2026-11)."""

BASE_URLS = {"openai": OPENAI_BASE_URL, "anthropic": ANTHROPIC_BASE_URL, "gemini": GEMINI_BASE_URL}
"""By kind: where it is, unless configuration says so. The other kinds have no such address."""

Speech = Literal[
    "responses",
    "chat",
    "completions",
    "messages",
    "generate_content",
    "embed_content",
    "converse",
    "invoke_model",
    "embeddings",
    "moderations",
    "images",
    "audio",
    "realtime",
    "models",
    "files",
    "batches",
    "conversations",
    "vector_stores",
    "fine_tuning",
    "evals",
    "cached_contents",
]
"""A part of the OpenAI API that an upstream serves, Anthropic's Messages, Google's generateContent, embeddings and
caches, or AWS's Converse and InvokeModel. `dialects` bridges from `responses`, `chat` and `messages` to any of these,
to `generate_content` and to `converse`; from `embeddings` to `embed_content` and to `invoke_model`."""

EVERYTHING: tuple[Speech, ...] = (
    "responses",
    "chat",
    "completions",
    "embeddings",
    "moderations",
    "images",
    "audio",
    "realtime",
    "models",
    "files",
    "batches",
    "conversations",
    "vector_stores",
    "fine_tuning",
    "evals",
)
"""All of the OpenAI API."""

SPEAKS: dict[str, tuple[Speech, ...]] = {
    "openai-compatible": ("chat", "embeddings"),
    "anthropic": ("messages",),
    "azure": ("responses", "chat", "completions", "embeddings", "realtime"),
    "gemini": ("generate_content", "embed_content", "cached_contents"),
    "vertex": ("generate_content", "embed_content", "cached_contents"),
    "bedrock": ("converse", "invoke_model"),
}
"""By kind: what it serves, unless configuration says so. The other kinds serve `EVERYTHING`."""


def vertex_url(project: str, location: str) -> str:
    """Where a project's models are (Vertex AI, "Locations", 2026-11); the first three have names of their own."""
    host = {
        "global": "aiplatform.googleapis.com",
        "us": "aiplatform.us.rep.googleapis.com",
        "eu": "aiplatform.eu.rep.googleapis.com",
    }.get(location, f"{location}-aiplatform.googleapis.com")
    return f"https://{host}/v1/projects/{quote(project, safe='')}/locations/{location}"


_BEDROCK = re.compile(r"https://bedrock-runtime(?:-fips)?\.([a-z0-9-]+)\.")


def bedrock_url(region: str) -> str:
    """Where a region's models are ("Amazon Bedrock endpoints and quotas", 2026-11)."""
    return f"https://bedrock-runtime.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}"


def region_at(url: str) -> str:
    """The region that an address of Bedrock's names; "" where it is another kind of address."""
    found = _BEDROCK.match(url)
    return "" if found is None else found[1]

"""What a provider's kind implies: where it is, and which parts of the API it serves."""

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
    "embeddings",
    "moderations",
    "images",
    "audio",
    "models",
    "files",
    "batches",
    "conversations",
    "vector_stores",
    "fine_tuning",
    "evals",
]
"""A part of the OpenAI API that an upstream serves, Anthropic's Messages, or Google's generateContent; `dialects`
bridges from `responses`, `chat` and `messages` to any of these and to `generate_content`."""

EVERYTHING: tuple[Speech, ...] = (
    "responses",
    "chat",
    "completions",
    "embeddings",
    "moderations",
    "images",
    "audio",
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
    "azure": ("responses", "chat", "completions", "embeddings"),
    "gemini": ("generate_content",),
    "vertex": ("generate_content",),
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

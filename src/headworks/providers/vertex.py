"""Google's Gemini API as Vertex AI serves it: the same words, behind a project's and a region's path and a token.

    https://LOCATION-aiplatform.googleapis.com/v1/projects/PROJECT/locations/LOCATION/publishers/google/models/MODEL

Sources: Vertex AI, "REST Resource: v1.projects.locations.publishers.models", "Google models", "Authenticate to Vertex
AI" (2026-11). Its errors are those of AI Studio.
"""

from urllib.parse import quote

import msgspec

from headworks.calls import Endpoint
from headworks.providers.base import ProviderSettings
from headworks.providers.gemini import GeminiProvider


class VertexProvider(GeminiProvider):
    """Requests to Vertex AI. The base URL ends where publishers begin: `.../locations/LOCATION`.

    A model is the name of one of Google's, or `endpoints/NUMBER` for a tuned one of the project.

    Attributes:
        parent: the project and the location, with which names of what they hold begin.
    """

    def __init__(self, settings: ProviderSettings) -> None:
        bearer = ("authorization", f"Bearer {settings.api_key}" if settings.api_key else "")
        super().__init__(msgspec.structs.replace(settings, api_key="", headers=(bearer, *settings.headers)))
        self.parent = f"projects/{settings.base_path.partition('/projects/')[2]}"

    def call_path(self, spoken: Endpoint, model: str, *, is_streamed: bool) -> str:
        """The path has the model in it; what a caller calls a model leads to no other project. Embeddings have several
        ways; who writes what is asked for knows which (`dialects.embed_contents`)."""
        if model.startswith("endpoints/"):
            name = f"endpoints/{quote(model.removeprefix('endpoints/'), safe='')}"
        else:
            name = f"publishers/google/models/{quote(model.removeprefix('models/'), safe='')}"
        if spoken is Endpoint.EMBED_CONTENT:
            return f"/{name}:predict"
        return f"/{name}:streamGenerateContent?alt=sse" if is_streamed else f"/{name}:generateContent"

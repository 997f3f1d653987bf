"""Azure OpenAI, Vertex AI and AWS Bedrock: what the three gateways say of them, and what that is here.

Each names a cloud by fields of its own, beside the address and the key that every provider has. Here they become fields
of a provider: Azure's resource its `base_url`, a project and a location those of `kind: vertex`, a region and access
keys those of `kind: bedrock`.

Sources: LiteLLM's pages on Azure, Vertex AI and Bedrock; Portkey's `types/requestBody.ts`; TensorZero's configuration
reference; all 2026-11.
"""

import re
from collections.abc import Callable, Mapping
from typing import Literal

import msgspec

from headworks.importing.deployments import Connection
from headworks.importing.keys import Keys
from headworks.importing.source import Place, Value
from headworks.importing.texts import is_fit
from headworks.importing.upstreams import CLOUD_KINDS, Kind, Upstream

Word = Literal[
    "address", "resource", "api_version", "model", "project", "location", "region", "access_key_id",
    "secret_access_key", "session_token",
]  # fmt: skip
"""What a field of theirs means, in our words."""

_SECRET: dict[str, str] = {
    "access_key_id": "AWS_ACCESS_KEY_ID",
    "secret_access_key": "AWS_SECRET_ACCESS_KEY",
    "session_token": "AWS_SESSION_TOKEN",
}
"""By our field: the variable that usually holds it."""

_FORMS: dict[str, str] = {
    "project": r"[a-z0-9][a-z0-9.:-]{0,127}",
    "location": r"[a-z][a-z0-9-]{1,31}",
    "region": r"[a-z]{2,10}(-[a-z]{2,12}){1,3}-[0-9]{1,2}",
}
_DATED = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(-preview)?")
_RESOURCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,62}")
_NEEDED: dict[Kind, tuple[str, ...]] = {"vertex": ("project", "location"), "bedrock": ("region",)}

THE_MODEL = "the model of {provider}"
"""What is said of a field that names the model."""


class Lacking(Exception):
    """A cloud's provider cannot be made: the message says what is missing and what to do."""


class CloudConnection(msgspec.Struct, frozen=True):
    """A provider at a cloud, what to say of each field of theirs, and the model where a field names it."""

    connection: Connection
    settled: Mapping[Place, str]
    model: str | None


def is_cloud(upstream: Upstream) -> bool:
    """Whether a provider of theirs is at a cloud, so that its own fields say where."""
    return upstream.kind in CLOUD_KINDS


class _Reading:
    """What a provider of theirs says of its cloud. State: our fields so far, and what is said of theirs."""

    def __init__(
        self,
        fields: Mapping[str, tuple[Value, Place]],
        words: Mapping[str, Word],
        resolve: Callable[[str], str],
    ) -> None:
        self._words = words
        self._said: dict[str, tuple[str, str, Value, Place]] = {}
        for theirs, word in words.items():
            if theirs in fields and word not in self._said:
                value, place = fields[theirs]
                self._said[word] = (resolve(value.text or ""), theirs, value, place)
        self.own: list[tuple[str, str]] = []
        self.settled: dict[Place, str] = {}

    def needed(self, word: str) -> None:
        """Take a field that there has to be."""
        if word not in self._said:
            names = " or ".join(f"`{theirs}`" for theirs, meant in self._words.items() if meant == word)
            raise Lacking(f"its {word} is not in the file: add {names} and import again")
        text, theirs, _, place = self._said[word]
        if re.fullmatch(_FORMS[word], text) is None:
            raise Lacking(f"`{theirs}` is no {word}, or a variable that is not set now: mend it and import again")
        self._take(word, text, place)

    def api_version(self) -> None:
        """Azure's: a date asks deployments in the older way."""
        text, _, _, place = self._said.get("api_version", ("", "", Value(0), ()))
        if _DATED.fullmatch(text) is not None:
            self._take("api_version", text, place)
        elif text in ("v1", "latest", "preview"):
            self.settled[place] = "{provider}: the v1 API, which has no version"

    def access_keys(self, keys: Keys, name: str) -> None:
        """AWS's, if there are both."""
        if not {"access_key_id", "secret_access_key"} <= self._said.keys():
            return
        for word, usual in _SECRET.items():
            if word not in self._said:
                continue
            _, _, value, place = self._said[word]
            reference, told = keys.reference(value, usual, f"{word} of {name}")
            if reference is not None:
                self.own.append((word, reference))
                self.settled[place] = f"{{provider}}.{word}: {told}"

    def model(self) -> str | None:
        """The model, where a field of its own names it."""
        if "model" not in self._said:
            return None
        text, _, _, place = self._said["model"]
        self.settled[place] = THE_MODEL
        return text

    def address(self, kind: Kind) -> str | None:
        """Where it is; None where the rest says that."""
        if "address" in self._said:
            text, theirs, _, place = self._said["address"]
            url = re.sub(r"/openai(/.*)?$", "", text.rstrip("/")) if kind == "azure" else text.rstrip("/")
            if not is_fit("base-url", url):
                text = f"`{theirs}` is no plain URL, or a variable that is not set now: mend it and import again"
                raise Lacking(text)
            self.settled[place] = "{provider}.base_url"
            return url
        if kind != "azure":
            return None
        if "resource" not in self._said:
            raise Lacking("its address is not in the file: add it (https://NAME.openai.azure.com) and import again")
        text, theirs, _, place = self._said["resource"]
        if _RESOURCE.fullmatch(text) is None:
            raise Lacking(f"`{theirs}` is no name of a resource: mend it and import again")
        self.settled[place] = "{provider}.base_url"
        return f"https://{text.lower()}.openai.azure.com"

    def _take(self, word: str, text: str, place: Place) -> None:
        self.own.append((word, text))
        self.settled[place] = f"{{provider}}.{word}"


def cloud_connection(
    name: str,
    upstream: Upstream,
    fields: Mapping[str, tuple[Value, Place]],
    words: Mapping[str, Word],
    resolve: Callable[[str], str],
    keys: Keys,
) -> CloudConnection:
    """The connection to a cloud.

    Arguments:
        name: the one that the provider should have.
        fields: theirs, with places.
        words: what fields of theirs mean.
        resolve: what a text of theirs stands for: a variable is looked up now; "" where it is not set.

    Raises:
        Lacking: something that is needed is not there, or is none.
    """
    reading = _Reading(fields, words, resolve)
    base_url = reading.address(upstream.kind)
    for word in _NEEDED.get(upstream.kind, ()):
        reading.needed(word)
    if upstream.kind == "azure":
        reading.api_version()
    if upstream.kind == "bedrock":
        reading.access_keys(keys, name)
    model = reading.model()
    return CloudConnection(Connection(name, upstream.kind, base_url, own=tuple(reading.own)), reading.settled, model)


def check_model(kind: Kind, model: str) -> None:
    """Raises Lacking: the cloud serves it by an API that is not asked here."""
    if kind == "vertex" and not model.removeprefix("publishers/google/models/").startswith(("gemini", "gemma", "*")):
        raise Lacking(
            "of Vertex AI, models that answer generateContent are asked: Gemini. Take this one from its maker, or keep "
            "the old gateway before it and name that as `kind: openai-compatible`"
        )

"""What Acme adds to Headworks: one of each kind of extension, each as small as it can be.

`docs/how-to/extend.md` says what each may do, and `docs/explanation/extending.md` why.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from headworks.evals.golden import GoldenCase
from headworks.evals.scorers import Answer
from headworks.exchange import UpstreamRequest
from headworks.extending import CallEnd, CallFacts, CallRefused, Changes
from headworks.providers import OpenAIProvider, ProviderSettings
from headworks.records import Record
from headworks.screening.privacy import Kind, Verdict


class AcmeProvider(OpenAIProvider):
    """A provider: Acme's server speaks OpenAI's API, below another path, and wants to know the tenant."""

    def __init__(self, settings: ProviderSettings) -> None:
        super().__init__(settings)
        self._tenant = b"x-acme-tenant: blue\r\n"

    def json_request(self, path: str, body: bytes, forwarded: bytes) -> UpstreamRequest:
        return super().json_request(f"/inference{path}", body, self._tenant + forwarded)


class Ceiling:
    """A hook: nobody asks for long answers but those whose team may; and long calls are marked."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._most = int(settings["most_tokens"])
        self._free = settings.get("free_team", "")

    def before(self, call: CallFacts) -> Changes | None:
        asked = call.parameters.get("max_output_tokens")
        if call.team == self._free and self._free:
            return None
        if asked is None:
            return Changes(parameters={"max_output_tokens": self._most}) if call.endpoint == "responses" else None
        if isinstance(asked, int) and asked > self._most:
            raise CallRefused("answer_too_long", f"Ask for at most {self._most} tokens.")
        return None

    def after(self, end: CallEnd) -> dict[str, bool]:
        return {"slow": end.total_us > 10_000_000}


class Topics:
    """A layer of screening: texts about a merger that is not to be spoken of go nowhere."""

    kinds = (Kind("merger", "MERGER", "talk of a merger"),)

    def judge(self, text: str) -> Verdict | None:
        return Verdict("merger") if "project bluebird" in text.lower() else None


class Brief:
    """A scorer: an answer is right if it is short, and better the shorter it is."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._most = int(settings.get("most_words", "50"))

    def score(self, case: GoldenCase, answer: Answer) -> dict[str, object]:
        words = len(answer.text.split())
        share = max(0.0, 1 - words / self._most)
        return {"value": share, "is_acceptable": words <= self._most, "reason": f"{words} words"}


class LinesSink:
    """A sink of records: lines of JSON in a file, flushed to the disk before the batch counts as taken."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._path = Path(settings["file"])

    def write(self, records: Sequence[Record]) -> None:
        with self._path.open("ab") as file:
            file.write(b"".join(msgspec.json.encode(record) + b"\n" for record in records))
            file.flush()
            os.fsync(file.fileno())

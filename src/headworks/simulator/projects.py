"""What a project keeps at the provider: stored responses, files, batches, conversations, vector stores, jobs.

A key is of one project, and sees nothing of another's (OpenAI API reference, "Authentication").
"""

import urllib.parse
from collections.abc import Mapping, Sequence
from typing import Generic, TypeVar

import msgspec

from headworks.simulator.gemini_asking import CachedBody
from headworks.simulator.items import Item
from headworks.simulator.rejection import Rejection
from headworks.simulator.script import Script, plain
from headworks.simulator.stored import Page, Shelf, page_of

Value = dict[str, object]
"""An object as the API shows it."""


class File(msgspec.Struct):
    """A file and its bytes."""

    value: Value
    content: bytes


class Upload(msgspec.Struct):
    """An upload under way: its parts by id."""

    value: Value
    parts: dict[str, bytes]


class Batch(msgspec.Struct):
    """A batch; it is run when it is looked at after `due_at`, and not before."""

    value: Value
    due_at: float


class Conversation(msgspec.Struct):
    """A conversation and its items, each with its id."""

    value: Value
    items: list[tuple[str, Item]]


class VectorStore(msgspec.Struct):
    """A vector store: the files in it as the API shows them, by their ids, and batches of files."""

    value: Value
    files: dict[str, Value]
    batches: dict[str, Value]


class Job(msgspec.Struct):
    """A fine-tuning job; it is done when it is looked at after `due_at`."""

    value: Value
    due_at: float
    events: list[Value]
    checkpoints: list[Value]


class Cache(msgspec.Struct):
    """What Google's API keeps of a prompt's beginning until `expires_at`: as it shows it, and as it was asked."""

    value: Value
    asked: CachedBody
    tokens: int
    expires_at: float


T = TypeVar("T")


class Kept(Generic[T]):
    """Objects of one kind by id, the oldest first.

    Arguments:
        missing: the API's message for an id that is not there, with `{}` for it.
        capacity: more are not kept: the oldest go.
    """

    def __init__(self, missing: str, capacity: int = 10_000, *, param: str = "id") -> None:
        self._missing = missing
        self._param = param
        self._capacity = capacity
        self._by_id: dict[str, T] = {}

    def add(self, identifier: str, kept: T) -> None:
        """Keep one."""
        self._by_id[identifier] = kept
        if len(self._by_id) > self._capacity:
            del self._by_id[next(iter(self._by_id))]

    def get(self, identifier: str) -> T:
        """One of them. Raises Rejection: the API's 404."""
        found = self._by_id.get(identifier)
        if found is None:
            raise Rejection(404, self._missing.format(identifier), param=self._param)
        return found

    def has(self, identifier: str) -> bool:
        """Whether there is one of this id."""
        return identifier in self._by_id

    def remove(self, identifier: str) -> T:
        """Forget one. Raises Rejection: the API's 404."""
        found = self.get(identifier)
        del self._by_id[identifier]
        return found

    def all(self) -> list[T]:
        """The oldest first."""
        return list(self._by_id.values())


class Project:
    """What belongs to one key. `models` are those that its jobs have made, with the model that each comes from."""

    def __init__(self, stored_responses: int) -> None:
        self.shelf = Shelf(stored_responses)
        self.files: Kept[File] = Kept("No such File object: {}")
        self.uploads: Kept[Upload] = Kept("No such Upload object: {}")
        self.batches: Kept[Batch] = Kept("No batch found with id '{}'.")
        self.conversations: Kept[Conversation] = Kept("Conversation with id '{}' not found.", param="conversation")
        self.stores: Kept[VectorStore] = Kept("Vector store with id '{}' not found.")
        self.jobs: Kept[Job] = Kept("Could not find fine tune: {}")
        self.models: dict[str, str] = {}
        self.caches: Kept[Cache] = Kept("CachedContent not found (or permission denied)")

    def check_references(self, body: bytes) -> None:
        """Raises Rejection where a request refers to a file or a vector store that is not of this project."""
        waiting: list[object] = [msgspec.json.decode(body)]
        while waiting:
            value = waiting.pop()
            if isinstance(value, list):
                waiting += value
            elif isinstance(value, dict):
                file_id = value.get("file_id")
                for identifier in [file_id] if isinstance(file_id, str) else []:
                    if not self.files.has(identifier):
                        raise Rejection(404, f"File with id '{identifier}' not found.", param="file_id")
                store_ids = value.get("vector_store_ids")
                for identifier in store_ids if isinstance(store_ids, list) else []:
                    if not self.stores.has(str(identifier)):
                        message = f"Vector store with id ['{identifier}'] not found."
                        raise Rejection(404, message, param="tools")
                waiting += value.values()


def listed(values: Sequence[Value], query: str, *, wanted: Mapping[str, str] | None = None) -> Script:
    """One page of objects, which are given the oldest first. Raises Rejection.

    Arguments:
        wanted: fields and the values that they must have; "" selects nothing away.
    """
    asked = dict(urllib.parse.parse_qsl(query))
    page: Page = page_of(asked)
    selected = [
        value for value in values if all(not of or value.get(name) == of for name, of in (wanted or {}).items())
    ]
    if not page.is_ascending:
        selected.reverse()
    ids = [value["id"] for value in selected]
    start, end = 0, len(selected)
    if page.after:
        if page.after not in ids:
            raise Rejection(404, f"No object with id '{page.after}' found.", param="after")
        start = ids.index(page.after) + 1
    shown = selected[start:end][: page.limit]
    return answered(
        {
            "object": "list",
            "data": shown,
            "first_id": shown[0]["id"] if shown else None,
            "last_id": shown[-1]["id"] if shown else None,
            "has_more": start + page.limit < end,
        }
    )


def answered(value: object) -> Script:
    """An object as the answer."""
    return plain(200, msgspec.json.encode(value))


def deleted(identifier: str, kind: str) -> Script:
    """What the API says of an object that is gone."""
    return answered({"id": identifier, "object": kind, "deleted": True})


def query_of(query: str) -> dict[str, str]:
    """The parameters of a query."""
    return dict(urllib.parse.parse_qsl(query))

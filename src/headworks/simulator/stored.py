"""The responses that the provider keeps: retrieved, continued, cancelled and deleted by id."""

from collections.abc import Sequence

import msgspec

from headworks.simulator.chance import identifier
from headworks.simulator.generation import Generation, Status
from headworks.simulator.items import Item, made_items, shown
from headworks.simulator.rejection import Rejection, invalid_value

_MOST_ITEMS_PER_PAGE = 100
_MOST_BYTES = 64 * 1024 * 1024


class StoredResponse(msgspec.Struct, frozen=True):
    """A kept response: how it came about, and the input items that led to it, its history first."""

    generation: Generation
    items: tuple[Item, ...]
    cancelled_at: float | None = None

    def status(self, now: float) -> Status:
        """How far it is now. Without `background` it was finished when it was kept."""
        if self.cancelled_at is not None:
            return "cancelled"
        if not self.generation.is_background:
            return self.generation.final_status
        return self.generation.status_after(now - self.generation.created_at)

    def value(self, now: float) -> dict[str, object]:
        """The response object as it is now."""
        return self.generation.value(self.status(now))

    @property
    def input_bytes(self) -> int:
        """The size of its input, its history included."""
        return sum(len(item.json) for item in self.items)

    def context(self) -> tuple[Item, ...]:
        """What a response that continues this one starts from: its input and its output."""
        return (*self.items, *made_items(item.value(is_done=True) for item in self.generation.output))


class Shelf:
    """The kept responses. State: by id, the oldest first, at most `capacity` and 64 MiB of their input items."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._bytes = 0
        self._by_id: dict[str, StoredResponse] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def keep(self, response: StoredResponse) -> None:
        """Keep a response; the oldest go if there are too many."""
        self._by_id[response.generation.id] = response
        self._bytes += response.input_bytes
        while len(self._by_id) > self._capacity or (self._bytes > _MOST_BYTES and len(self._by_id) > 1):
            self._drop(next(iter(self._by_id)))

    def get(self, identifier: str) -> StoredResponse:
        """A kept response. Raises Rejection: the API's 404."""
        try:
            return self._by_id[identifier]
        except KeyError:
            raise Rejection(404, f"Response with id '{identifier}' not found.") from None

    def history(self, identifier: str | None) -> tuple[Item, ...]:
        """The items that a response continues; none for None. Raises Rejection for an unknown id."""
        if identifier is None:
            return ()
        response = self._by_id.get(identifier)
        if response is None:
            raise Rejection(
                400,
                f"Previous response with id '{identifier}' not found.",
                code="previous_response_not_found",
                param="previous_response_id",
            )
        return response.context()

    def item(self, identifier: str) -> Item:
        """A kept item, for an `item_reference`. Raises Rejection for an unknown id."""
        for response in reversed(self._by_id.values()):
            for item in response.context():
                if item.body.id == identifier:
                    return item
        raise Rejection(404, f"Item with id '{identifier}' not found.", param="input")

    def delete(self, identifier: str) -> dict[str, object]:
        """Forget a response. Raises Rejection for an unknown id."""
        self.get(identifier)
        self._drop(identifier)
        return {"id": identifier, "object": "response", "deleted": True}

    def cancel(self, identifier: str, now: float) -> StoredResponse:
        """Cancel a background response that is not finished; a finished one stays as it is. Raises Rejection."""
        response = self.get(identifier)
        if not response.generation.is_background:
            raise Rejection(400, "Cannot cancel a synchronous response.")
        if response.status(now) in {"queued", "in_progress"}:
            response = msgspec.structs.replace(response, cancelled_at=now)
            self._by_id[identifier] = response
        return response

    def _drop(self, identifier: str) -> None:
        self._bytes -= self._by_id.pop(identifier).input_bytes


class Page(msgspec.Struct, frozen=True):
    """Which part of a list is wanted."""

    limit: int = 20
    is_ascending: bool = False
    after: str = ""


def page_of(query: dict[str, str]) -> Page:
    """The page that a query string asks for. Raises Rejection."""
    limit = query.get("limit", "20")
    if not limit.isdigit() or not 1 <= int(limit) <= _MOST_ITEMS_PER_PAGE:
        raise invalid_value("limit", f"Invalid 'limit': expected an integer from 1 to {_MOST_ITEMS_PER_PAGE}.")
    order = query.get("order", "desc")
    if order not in {"asc", "desc"}:
        raise invalid_value("order", f"Invalid value: '{order}'. Supported values are: 'asc' and 'desc'.")
    return Page(int(limit), order == "asc", query.get("after", ""))


def item_list(response: StoredResponse, page: Page, seed: int) -> dict[str, object]:
    """One page of the input items of a response. Raises Rejection for an `after` that is no item of it."""
    values = [
        shown(item, identifier("msg_", seed, response.generation.id, b"%d" % index))
        for index, item in enumerate(response.items)
    ]
    if not page.is_ascending:
        values.reverse()
    start = 0
    if page.after:
        start = _place(values, page.after) + 1
    selected = values[start : start + page.limit]
    return {
        "object": "list",
        "data": selected,
        "first_id": selected[0]["id"] if selected else "",
        "last_id": selected[-1]["id"] if selected else "",
        "has_more": start + page.limit < len(values),
    }


def _place(values: Sequence[dict[str, object]], after: str) -> int:
    for index, value in enumerate(values):
        if value["id"] == after:
            return index
    raise invalid_value("after", f"No item with id '{after}' found.")

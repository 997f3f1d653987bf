"""Whose a stored thing is and where it lies: it belongs to the key that made it, and to its team where it has one."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from time import perf_counter, time_ns
from typing import Protocol

import msgspec

from headworks.calls import Caller, ObjectNote
from headworks.errors import Refusal
from headworks.records import ObjectSelection
from headworks.references import Reference

_REMEMBERED = 4096
"""Things whose owner is known without asking the store: a conversation goes on soon or not at all."""

_FRESH_US = 600_000_000
"""After ten minutes a note is looked up again: another worker may have noted something since."""

_UNKNOWN_S = 60.0
"""For so long an id that nobody here has made is not looked up again: looking may take a second and a half."""


class ResponseOwner(msgspec.Struct, frozen=True):
    """Who made a stored response, and where it lies."""

    key_id: str
    team: str
    provider: str

    def may_be_seen_by(self, caller: Caller) -> bool:
        """Whether this caller is the owner, or of the owner's team."""
        return caller.key_id == self.key_id or (caller.team != "" and caller.team == self.team)


class ResponseOwners:
    """The owners of responses. State: those made here of late.

    Arguments:
        look_up: asks the store.
    """

    def __init__(self, look_up: Callable[[str], Awaitable[ResponseOwner | None]]) -> None:
        self._look_up = look_up
        self._recent: OrderedDict[str, ResponseOwner] = OrderedDict()

    def note(self, response_id: str, owner: ResponseOwner) -> None:
        """A response was made here."""
        self._recent[response_id] = owner
        if len(self._recent) > _REMEMBERED:
            self._recent.popitem(last=False)

    async def find(self, response_id: str) -> ResponseOwner | None:
        """Who made it; None when it was not made through this gateway, as far as the records go."""
        return self._recent.get(response_id) or await self._look_up(response_id)

    async def find_previous(self, response_id: str, caller: Caller) -> ResponseOwner | None:
        """Whose the response is that a caller goes on from, and where it lies; None where that is not known.

        Raises:
            Refusal: 404, it is somebody else's. One that was made elsewhere is the provider's to judge.
        """
        owner = await self.find(response_id)
        if owner is not None and not owner.may_be_seen_by(caller):
            raise _previous_not_found(response_id)
        return owner


def owns(note: ObjectNote, caller: Caller) -> bool:
    """Whether an object is this caller's, or its team's."""
    return caller.key_id == note.key_id or (caller.team != "" and caller.team == note.team)


class Mark(Protocol):
    """A byte string that can be changed in place: `bytearray`, or `mmap.mmap`."""

    def __getitem__(self, index: int, /) -> int: ...
    def __setitem__(self, index: int, value: int, /) -> None: ...


class Shelf(msgspec.Struct, frozen=True):
    """What is known of objects outside of this process.

    Attributes:
        look_up: asks the store for one; if it is told to, it waits a moment for what another worker may just have made.
        select: asks the store for those of a caller.
        mark: its first byte, which all processes of an installation share, is not 0 once any object was made: until
            then no call is looked through.
    """

    look_up: Callable[[str, bool], Awaitable[ObjectNote | None]]
    select: Callable[[ObjectSelection], Awaitable[list[ObjectNote]]]
    mark: Mark


class ObjectOwners:
    """The objects that were made at providers through this gateway. State: those noted here of late, and the ids of
    late that nobody here has made.

    Arguments:
        write: makes a note durable.
        responses: the owners of responses, for calls that refer to one beside objects.
    """

    def __init__(self, shelf: Shelf, responses: ResponseOwners, write: Callable[[ObjectNote], None]) -> None:
        self._shelf = shelf
        self._responses = responses
        self._write = write
        self._recent: OrderedDict[str, ObjectNote] = OrderedDict()
        self._unknown: OrderedDict[str, float] = OrderedDict()

    def note(self, note: ObjectNote) -> None:
        """Write down an object, or what became of it.

        Raises:
            StorageError: it is not written.
        """
        self._write(note)
        self._shelf.mark[0] = 1
        self._unknown.pop(note.object_id, None)
        self._recent[note.object_id] = note
        self._recent.move_to_end(note.object_id)
        if len(self._recent) > _REMEMBERED:
            self._recent.popitem(last=False)

    def renote(self, note: ObjectNote, **changes: object) -> None:
        """Write down what has changed of an object. Raises StorageError."""
        self.note(msgspec.structs.replace(note, noted_us=time_ns() // 1000, **changes))

    async def find(self, object_id: str, *, waits: bool = True) -> ObjectNote | None:
        """What is known of an object; None when it was not made through this gateway.

        Arguments:
            waits: where it is not known, whether to wait for what another worker may just have made.
        """
        known = self._recent.get(object_id)
        if known is not None and time_ns() // 1000 - known.noted_us < _FRESH_US:
            return known
        if self._is_unknown(object_id):
            return None
        found = await self._shelf.look_up(object_id, waits and known is None)
        if found is None and known is not None:
            return known
        if found is None and waits:
            self._note_unknown(object_id)
        return found

    async def _find_all(self, object_ids: Iterable[str]) -> dict[str, ObjectNote | None]:
        """The same for several. There is one wait for all of them: what another worker has made has come by then."""
        found = {object_id: await self.find(object_id, waits=False) for object_id in object_ids}
        has_waited = False
        for object_id in [one for one, note in found.items() if note is None and not self._is_unknown(one)]:
            found[object_id] = await self.find(object_id, waits=not has_waited)
            if found[object_id] is None:
                has_waited = True
                self._note_unknown(object_id)
        return found

    def _is_unknown(self, object_id: str) -> bool:
        return self._unknown.get(object_id, 0.0) > perf_counter()

    def _note_unknown(self, object_id: str) -> None:
        self._unknown[object_id] = perf_counter() + _UNKNOWN_S
        if len(self._unknown) > _REMEMBERED:
            self._unknown.popitem(last=False)

    async def list(self, selection: ObjectSelection) -> list[ObjectNote]:
        """The selected objects; those made here count whether they are in the store yet or not. Those that are gone may
        leave fewer than there could be."""
        stored = await self._shelf.select(selection)
        found = {note.object_id: note for note in stored}
        for note in self._recent.values():
            if _is_selected(note, selection):
                found[note.object_id] = note
            elif note.is_gone:
                found.pop(note.object_id, None)
        ordered = sorted(found.values(), key=_place, reverse=not selection.is_ascending)
        return ordered[: selection.limit]

    async def home_of(self, references: Sequence[Reference], caller: Caller) -> tuple[str, str]:
        """Where all that a call refers to lies, and the name of the field that says so; "" twice where nothing of it
        was made here: what was made elsewhere is the provider's to judge.

        Raises:
            Refusal: 404 for what is somebody else's, 400 where it lies in more than one place.
        """
        home = param = ""
        notes = await self._find_all(one.object_id for one in references if one.param != _PREVIOUS)
        for reference in references:
            provider = await self._provider_of(reference, caller, notes)
            if provider and home and provider != home:
                raise Refusal(
                    400,
                    "objects_in_different_pools",
                    f"`{param}` refers to something at `{home}`, and `{reference.param}` to something at "
                    f"`{provider}`: what is used together must lie together. Make one of them again beside the other "
                    "(the header x-headworks-provider says where).",
                    param=reference.param,
                )
            if provider:
                home, param = provider, reference.param
        return home, param

    async def _provider_of(self, reference: Reference, caller: Caller, notes: Mapping[str, ObjectNote | None]) -> str:
        if reference.param == _PREVIOUS:
            owner = await self._responses.find_previous(reference.object_id, caller)
            return "" if owner is None else owner.provider
        note = notes[reference.object_id]
        if note is not None and not owns(note, caller):
            raise not_found(note.kind, reference.object_id, reference.param)
        return "" if note is None else note.provider


_PREVIOUS = "previous_response_id"
_WORDS = {
    "file": "File",
    "upload": "Upload",
    "batch": "Batch",
    "conversation": "Conversation",
    "vector_store": "Vector store",
    "fine_tuning.job": "Fine-tuning job",
    "eval": "Eval",
    "cached_content": "Cached content",
}


def not_found(kind: str, object_id: str, param: str = "id") -> Refusal:
    """What is somebody else's is not there."""
    if kind == "model":
        message = f"The model `{object_id}` does not exist or you do not have access to it."
        return Refusal(404, "model_not_found", message, param="model")
    code = f"{kind.rpartition('.')[2]}_not_found"
    return Refusal(404, code, f"{_WORDS.get(kind, 'Object')} with id '{object_id}' not found.", param=param)


def _previous_not_found(response_id: str) -> Refusal:
    """The same of a response that a call goes on from."""
    return Refusal(
        404,
        "previous_response_not_found",
        f"Previous response with id '{response_id}' not found.",
        param="previous_response_id",
    )


def _place(note: ObjectNote) -> tuple[int, str]:
    return note.made_us, note.object_id


def _is_selected(note: ObjectNote, selection: ObjectSelection) -> bool:
    if note.is_gone or note.kind != selection.kind or not owns(note, selection.caller):
        return False
    if selection.label and note.label != selection.label:
        return False
    if selection.after is None:
        return True
    return _place(note) > selection.after if selection.is_ascending else _place(note) < selection.after


def bare_shelf() -> Shelf:
    """Nothing is known of objects, but what this gateway makes itself."""

    async def look_up(_: str, waits: bool) -> None:  # noqa: ARG001
        return None

    async def select(_: ObjectSelection) -> list[ObjectNote]:
        return []

    return Shelf(look_up, select, bytearray(1))

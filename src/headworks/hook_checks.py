"""What asks models and is not a call of one: the lines of a batch, the runs of a provider's evals, sessions, counts.

Hooks are asked about these, too, for else whoever is refused a call could put it into a file. But they go as they came:
a batch's input lies at its provider, and a session is the caller's to lead. So a hook may refuse them; where it wants
something otherwise, the caller is told to say it that way itself.

A batch's input is read where it lies, when the batch is made: whoever uploaded it, and by which way, its lines are what
will be asked, by whoever makes the batch.
"""

import re
from collections.abc import Collection, Mapping
from typing import Protocol

import msgspec

from headworks.admission import metadata_in
from headworks.batch_lines import BATCHED, MOST_LINE_BYTES
from headworks.batch_output import OutputSink
from headworks.calls import Endpoint
from headworks.errors import Refusal
from headworks.eval_models import models_of_eval
from headworks.extending import PARAMETERS, CallFacts, Manner
from headworks.flow import Ending
from headworks.hook_changes import parameters_in
from headworks.object_endings import end_of, long_timeouts
from headworks.routing import Target
from headworks.settlement import OpenCall
from headworks.stations import Station

MOST_SHAPES = 10_000
"""Lines of a batch that differ in what hooks see of them. OpenAI's batches have 50,000 lines at most (batch guide,
2026-11), of which most are alike."""

MOST_KEPT_BYTES = 16 * 1024 * 1024
"""Of what hooks see of these lines: as much as one call may say."""

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,255}")
_SEEN = frozenset(PARAMETERS | {"model", "metadata"})
_LINES = "the lines of a batch go as they were uploaded"
_RUN = "a run of the provider's evals goes as it came"


class Checks(Protocol):
    """As far as they are asked here: see `hooking.Hooks`."""

    def asks_team(self, team: str) -> bool:
        """Whether any hook is asked about calls of a team."""
        ...

    async def check(self, call: OpenCall, asked: CallFacts, names: Collection[str], *, what: str, why: str) -> None:
        """Ask them about what goes as it is."""
        ...


class Line(msgspec.Struct, frozen=True):
    """Lines of a batch that are alike to a hook.

    Attributes:
        number: of the first of them, counted from 1.
        size: bytes of the longest of them.
    """

    number: int
    url: str
    fields: Mapping[str, msgspec.Raw]
    size: int


class _Read(msgspec.Struct):
    body: dict[str, msgspec.Raw]
    url: str = ""


_decode = msgspec.json.Decoder(_Read).decode
_decode_text = msgspec.json.Decoder(str).decode


class AskedLines:
    """Reads the lines of a batch's input in pieces of any size. State: the line that is under way, and what was read.

    Attributes:
        fault: why they cannot be told, "" while they can.
    """

    def __init__(self) -> None:
        self.fault = ""
        self._rest: list[bytes] = []
        self._size = 0
        self._number = 0
        self._kept_bytes = 0
        self._found: dict[tuple[object, ...], Line] = {}

    def feed(self, data: bytes) -> None:
        """The next piece."""
        if self.fault:
            return
        *lines, rest = data.split(b"\n")
        for line in lines:
            self._take(b"".join([*self._rest, line]))
            self._rest, self._size = [], 0
        if rest:
            self._rest.append(rest)
            self._size += len(rest)
        if self._size > MOST_LINE_BYTES:
            self.fault = f"line {self._number + 1} is too long"

    def lines(self) -> tuple[Line, ...]:
        """One of each kind, once all of it has come."""
        self._take(b"".join(self._rest))
        self._rest = []
        return tuple(self._found.values())

    def _take(self, line: bytes) -> None:
        self._number += 1
        if self.fault or not line.strip():
            return
        try:
            read = _decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            self.fault = f"line {self._number} is no line of a batch"
            return
        fields = {name: msgspec.Raw(bytes(raw)) for name, raw in read.body.items() if name in _SEEN}
        kind = (read.url, *((name, bytes(fields[name])) for name in sorted(fields)))
        had = self._found.get(kind)
        if had is not None:
            if len(line) > had.size:
                self._found[kind] = msgspec.structs.replace(had, size=len(line))
            return
        self._kept_bytes += len(read.url) + sum(len(bytes(raw)) for raw in fields.values())
        if len(self._found) >= MOST_SHAPES or self._kept_bytes > MOST_KEPT_BYTES:
            self.fault = f"more than {MOST_SHAPES} of its lines differ in model, parameters or metadata, or too widely"
            return
        self._found[kind] = Line(self._number, read.url, fields, len(line))


class ObjectChecks:
    """Asks hooks about what is made at providers and asks models there.

    Arguments:
        names: by provider (without its pool) and model, the public names that lead there.
    """

    def __init__(self, hooks: Checks, names: Mapping[tuple[str, str], Collection[str]]) -> None:
        self._hooks = hooks
        self._names = names

    async def batch(self, call: OpenCall, target: Target[Station], file_id: str, endpoint: str, ending: Ending) -> None:
        """Ask about every line of a batch's input.

        Arguments:
            target: where it lies.
            endpoint: the path that the batch says its lines are for.

        Raises:
            Refusal: a hook refuses one, or wants it otherwise, or has failed; or the lines cannot be read.
        """
        if not self._hooks.asks_team(call.caller.team):
            return
        lines = await self._read(call, target, file_id, ending)
        for line in lines:
            url = line.url or endpoint
            asked = facts_of_fields(call, "batch", BATCHED.get(url, url[:64]), line.fields, line.size)
            what = f"line {line.number} of the batch's input"
            await self._check(call, target, asked, what, _LINES)

    async def run(self, call: OpenCall, target: Target[Station], body: bytes) -> None:
        """Ask about every model that a run or an eval of a provider names.

        Raises:
            Refusal: as above.
        """
        if not self._hooks.asks_team(call.caller.team):
            return
        for fields in models_of_eval(body):
            asked = facts_of_fields(call, "run", Endpoint.EVALS, fields, len(body))
            await self._check(call, target, asked, f"a run with `{asked.model}`", _RUN)

    async def _check(self, call: OpenCall, target: Target[Station], asked: CallFacts, what: str, why: str) -> None:
        provider = target.provider.partition(":")[0]
        names = {asked.model, f"{provider}/{asked.model}", *self._names.get((provider, asked.model), ())}
        await self._hooks.check(call, asked, names, what=what, why=why)

    async def _read(self, call: OpenCall, target: Target[Station], file_id: str, ending: Ending) -> tuple[Line, ...]:
        if _ID.fullmatch(file_id) is None:
            raise _unread("its name is none")
        station, lines = target.station, AskedLines()
        sink = OutputSink(lines)
        sent = station.provider.request("GET", f"/files/{file_id}/content", b"", b"", b"")
        call.provider = target.provider
        flight = station.upstream.send(sent, sink, long_timeouts(station))
        try:
            failure = await end_of(sink, ending)
        finally:
            flight.cancel()
        if failure is not None:
            raise _unread(f"its provider does not send it ({failure.kind.value})")
        if sink.status >= 300:
            raise _unread(f"its provider answers {sink.status} when it is asked for it")
        found = lines.lines()
        if lines.fault:
            raise _unread(lines.fault)
        return found


def names_by_target(named: Mapping[str, Target[Station]]) -> dict[tuple[str, str], set[str]]:
    """The public names of a table by what they lead to, for `ObjectChecks`."""
    found: dict[tuple[str, str], set[str]] = {}
    for name, target in named.items():
        for one in target.pools or (target,):
            found.setdefault((one.provider.partition(":")[0], one.model), set()).add(name)
    return found


def facts_of_fields(
    call: OpenCall, manner: Manner, endpoint: str, fields: Mapping[str, msgspec.Raw], size: int
) -> CallFacts:
    """What a hook is told of something with these fields, which it can only refuse."""
    try:
        model = _decode_text(fields["model"]) if "model" in fields else ""
    except (msgspec.MsgspecError, UnicodeDecodeError):
        model = ""
    return CallFacts(
        call_id=call.call_id,
        endpoint=endpoint,
        model=model,
        workload="",
        key_id=call.caller.key_id,
        owner=call.caller.owner,
        team=call.caller.team,
        is_streamed=False,
        request_bytes=size,
        metadata=metadata_in(fields),
        parameters=parameters_in(fields),
        targets=(model,),
        manner=manner,
    )


def _unread(why: str) -> Refusal:
    return Refusal(
        403,
        "batch_lines_unknown",
        f"Calls here are judged by hooks, and the lines of this batch's input cannot be: {why}. Upload it at /v1/files "
        "with the purpose `batch`, each line with `url` and `body`.",
        param="input_file_id",
        kind="permission_error",
    )


__all__ = ["AskedLines", "Line", "ObjectChecks", "facts_of_fields", "names_by_target"]

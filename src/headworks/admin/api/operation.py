"""What an operation of the admin API is: where it is, which right it takes, what is asked, and what does it."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta

from headworks.access import Right
from headworks.admin.configuration import LookOver, Take
from headworks.admin.desk import Desk
from headworks.admin.sessions import Session
from headworks.errors import Refusal

Method = Literal["GET", "POST", "PATCH", "DELETE"]

PREFIX = "/admin/v1"

Asked = TypeVar("Asked", bound=msgspec.Struct)
Answer = TypeVar("Answer", bound=msgspec.Struct)

MOST_ITEMS = 200
"""Of one page."""

PageSize = Annotated[int, Meta(ge=1, le=MOST_ITEMS, description="Most items of the page.")]
Cursor = Annotated[str, Meta(max_length=200, description="`next` of the page before.")]
Moment = Annotated[datetime, Meta(tz=True)]


class Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is asked: fields of the path, and of the query (GET) or the body. Unknown ones are errors."""


class Nothing(Question, frozen=True):
    """Nothing is asked."""


class Levers(msgspec.Struct, frozen=True):
    """What reaches beyond the state folder."""

    look_over: LookOver
    take: Take


class Visit(msgspec.Struct, frozen=True):
    """One request of somebody at a desk.

    Attributes:
        revision: what they say is to be changed must not have changed since (`If-Match`); None: they do not say.
        session: of a browser; None for others.
    """

    desk: Desk
    levers: Levers
    revision: int | None = None
    session: Session | None = None


class Operation(msgspec.Struct, frozen=True):
    """One operation.

    Attributes:
        name: for the audit log, as `admin.NAME`, and for generated clients.
        right: which right it takes, somewhere at least; None: it is for whoever is known.
        status: of a good answer.
        is_repeatable: it takes an `Idempotency-Key`, for a repeat would do it again.
        run: does it, with the fields of path, query and body as they came.
    """

    name: str
    method: Method
    path: str
    summary: str
    right: Right | None
    asked: type[msgspec.Struct]
    answer: type[msgspec.Struct]
    status: int
    is_repeatable: bool
    run: Callable[[Visit, Mapping[str, object]], msgspec.Struct]
    pattern: re.Pattern[str]

    @property
    def path_fields(self) -> tuple[str, ...]:
        """The fields that stand in the path."""
        return tuple(self.pattern.groupindex)


def operation(
    method: Method,
    path: str,
    name: str,
    summary: str,
    right: Right | None,
    handle: Callable[[Visit, Asked], Answer],
    asked: type[Asked],
    answer: type[Answer],
    *,
    status: int = 200,
    is_repeatable: bool = False,
) -> Operation:
    """An operation; see `Operation`.

    Arguments:
        path: below `PREFIX`; `{NAME}` stands for one segment, which is a field of `asked`.
    """

    def run(visit: Visit, fields: Mapping[str, object]) -> msgspec.Struct:
        try:
            # In a query everything is text.
            question = msgspec.convert(fields, asked, strict=method != "GET")
        except msgspec.ValidationError as error:
            raise malformed(str(error)) from None
        return handle(visit, question)

    pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", PREFIX + path))
    return Operation(name, method, PREFIX + path, summary, right, asked, answer, status, is_repeatable, run, pattern)


def malformed(message: str) -> Refusal:
    """The refusal of a question that is not one."""
    place = message.rpartition(" - at `$.")[2].rstrip("`") if " - at `$." in message else None
    return Refusal(400, "invalid_request", f"{message}. The OpenAPI document says what is taken.", param=place)


def utc(seconds: float | None) -> datetime | None:
    """Unix seconds as they stand in answers."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def seconds(moment: datetime | None) -> float | None:
    """A moment of a question, in Unix seconds."""
    return None if moment is None else moment.timestamp()


def microseconds(moment: datetime | None) -> int | None:
    """A moment of a question, in microseconds since the Unix epoch."""
    return None if moment is None else round(moment.timestamp() * 1e6)

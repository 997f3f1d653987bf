"""Every error that Headworks raises on purpose: one hierarchy.

An error says what happened, where, and what the reader should do. It never holds a prompt, a key or a
personal value: its text may go to a log, a terminal or a caller.

Failures of a single upstream attempt are not exceptions but values (`calls.Failure`); only the edge turns one
into a status.
"""

import msgspec


class HeadworksError(Exception):
    """The root of the hierarchy: catch this to catch whatever Headworks raises on purpose."""


class Problem(msgspec.Struct, frozen=True):
    """One thing wrong in a configuration file, with its place.

    `line` and `column` count from 1; 0 means that the problem belongs to the whole file.
    """

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{place}: {self.message}"


class ConfigError(HeadworksError):
    """A configuration that cannot be used; carries every problem found, not only the first."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class SecretError(HeadworksError):
    """A secret reference that cannot be read; names the reference, never the value."""


class StorageError(HeadworksError):
    """The state directory, a journal or a store cannot be used; names the path and the way out."""


class LimitsUnavailable(HeadworksError):
    """The authority over shared quotas cannot be reached; says which, and how."""


class CommandError(HeadworksError):
    """A command that cannot be done as asked (an unknown or ambiguous name, say); says what can be."""


class UnknownName(CommandError):
    """A command about something that does not exist; says what is near."""


class OutOfDate(CommandError):
    """A command about something that has changed since whoever gives it has looked."""


class Refusal(HeadworksError):
    """A call that is answered with an error instead of being relayed.

    Arguments:
        status: the HTTP status of the answer.
        code: the machine-readable `code` of OpenAI's error object (`model_not_found`, `invalid_api_key`, …).
        message: for the caller: what happened and what to do. No secret, no prompt text.
        param: the request field that is at fault, where there is one.
        kind: the `type` of OpenAI's error object.
        headers: further response headers (`retry-after`, `allow`, …), lower-cased names.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        param: str | None = None,
        kind: str = "invalid_request_error",
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.param = param
        self.kind = kind
        self.headers = headers

    def add(self, message: str = "", headers: tuple[tuple[str, str], ...] = ()) -> None:
        """Tell the caller more."""
        self.message += message
        self.headers += headers

    def body(self) -> bytes:
        """The error object in the shape of the OpenAI API: `{"error": {message, type, param, code}}`."""
        return msgspec.json.encode(
            {"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}}
        )

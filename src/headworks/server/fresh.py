"""A process of ours that begins anew, as a program of its own, and is no copy of the supervisor: nothing is in its
memory but what it is given. For who needs no provider's key: the control plane, whose sinks are code of others, and the
process that serves the admin API, which meets the network with more rights than a caller.

    supervisor  -> given (what it goes by, and the secrets that it needs)  -> the process
"""

import os
import signal
import socket
import struct
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import msgspec

from headworks.config import Project, is_local_reference, parse
from headworks.secrets import Kept, pack, references_of_managers, references_of_providers
from headworks.server.messages import Word

_INHERITED = frozenset({
    "PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR",
    "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY",
})  # fmt: skip
"""What of our environment it sees, in capitals or not, beside what Python itself and libpq go by. Everything else could
be a provider's key."""

_OF_LIBRARIES = ("PYTHON", "COVERAGE_", "PG", "KRB5")

_TOKENS_OF_VAULT = frozenset({"VAULT_TOKEN", "BAO_TOKEN"})

_HEAD = struct.Struct(">BI")
_CHUNK_BYTES = 65_536

_GOOD, _EMPTY, _UNFIT = "set", "", "no secret"


class Given(msgspec.Struct, frozen=True, array_like=True):
    """What the process goes by.

    Attributes:
        file, folder: of the configuration, as in `Project`.
        text: the configuration.
        overrides: fields of `server` that the command line sets.
        variables: the part of our environment that it reads secrets from.
        shapes: every other variable of it, with something of the same shape in the place of the value: whether a
            configuration's reference leads somewhere can be judged without what it leads to.
        kept: of what secret managers have, that which it needs, packed.
    """

    file: str
    folder: str
    text: str
    overrides: dict[str, str | int]
    variables: dict[str, str]
    shapes: dict[str, str]
    kept: bytes

    def __repr__(self) -> str:
        return "Given(hidden)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("what holds secrets cannot be pickled or copied")


def given(
    project: Project, text: str, overrides: Mapping[str, object], environment: Mapping[str, str], kept: Kept
) -> bytes:
    """The frame's content for the process that serves the admin API, of this configuration.

    Arguments:
        text: of the file.
        overrides: see `Given`.
        environment: of the gateway.
        kept: all that is known of what secret managers have.
    """
    needed = set(_needed(project))
    named = {reference.removeprefix("env:") for reference in needed if reference.startswith("env:")}
    variables = {name: value for name, value in environment.items() if name in named}
    shapes = {name: _shape(value) for name, value in environment.items() if name not in named}
    fields: dict[str, str | int] = {name: value for name, value in overrides.items() if isinstance(value, str | int)}
    theirs = {name: held for name, held in kept.items() if name in needed and not is_local_reference(name)}
    return msgspec.msgpack.encode(
        Given(str(project.file), str(project.folder), text, fields, variables, shapes, pack(theirs))
    )


def read_given(content: bytes) -> Given:
    """What `given` has written."""
    return msgspec.msgpack.decode(content, type=Given)


def project_of(said: Given) -> Project:
    """The configuration, as the supervisor goes by it. Raises ConfigError."""
    project = parse(said.text, file=said.file, base=Path(said.folder))
    server = msgspec.structs.replace(project.config.server, **said.overrides)
    return msgspec.structs.replace(project, config=msgspec.structs.replace(project.config, server=server))


def wait_for_given(control: socket.socket) -> bytes | None:
    """What the supervisor gives with its first word, and not a byte more of what it says; None where it is gone.
    Blocking."""
    head = _exactly(control, _HEAD.size)
    if len(head) < _HEAD.size:
        return None
    word, size = _HEAD.unpack(head)
    assert word == Word.GIVEN, "it is what a process hears first"
    content = _exactly(control, size)
    return content if len(content) == size else None


def bare_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Of an environment, what a process needs that runs no code but ours."""
    return {
        name: value
        for name, value in environment.items()
        if name.upper() in _INHERITED or name.startswith(_OF_LIBRARIES)
    }


def environment_of_control(project: Project, environment: Mapping[str, str]) -> dict[str, str]:
    """The control plane's, of the gateway's: without what providers' keys are in, and what opens a secret manager. All
    else is there, for sinks are code of other packages, which may read anything of it.
    """
    references = (*references_of_providers(project), *references_of_managers(project))
    hidden = {reference.removeprefix("env:") for reference in references} | _TOKENS_OF_VAULT
    return {name: value for name, value in environment.items() if name not in hidden}


def become(arguments: Sequence[str], control: socket.socket, environment: Mapping[str, str]) -> NoReturn:
    """Go on as another program: our interpreter with these arguments, and behind them the number of the socket.

    Signals that are the supervisor's to answer are ignored until the program says otherwise.
    """
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    control.set_inheritable(True)
    # The same modules as here; an empty entry means the folder that we are in.
    modules = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
    command = [sys.executable, "-P", *arguments, str(control.fileno())]
    # Our own interpreter and module, and no shell.
    os.execve(sys.executable, command, {**environment, "PYTHONPATH": modules})  # noqa: S606


def _needed(project: Project) -> Iterator[str]:
    """References to secrets that administration reads: what keys are hashed under, what opens the store and the audit
    log, what signs people in."""
    config = project.config
    yield config.access.secret
    audit, sign_in = config.audit, config.admin.sign_in
    anchors = (anchor.token for anchor in audit.anchors)
    sign_in_secret = None if sign_in is None else sign_in.client_secret
    for reference in (config.records.store_password, audit.key, *audit.previous_keys, *anchors, sign_in_secret):
        if reference is not None:
            yield reference


def _shape(value: str) -> str:
    """A value that is as good, as a secret, as the one in whose place it stands."""
    bare = value.strip(" \t\r\n")
    if not bare:
        return _EMPTY
    return _GOOD if all("\x21" <= one <= "\x7e" for one in bare) else _UNFIT


def _exactly(control: socket.socket, size: int) -> bytes:
    """So many bytes, or fewer where the other side is gone."""
    found = bytearray()
    while len(found) < size:
        data = control.recv(min(_CHUNK_BYTES, size - len(found)))
        if not data:
            break
        found += data
    return bytes(found)

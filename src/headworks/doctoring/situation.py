"""What a diagnosis is of: a project, or a gateway somewhere, or both."""

from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from headworks.config import Examination, Project, Secret
from headworks.errors import ConfigError
from headworks.state_claim import Holder
from headworks.transport import Origin


class Target(msgspec.Struct, frozen=True):
    """A gateway's address. `prefix` is what stands before `/v1` in its paths."""

    shown: str
    origin: Origin
    prefix: str = ""

    @classmethod
    def from_url(cls, url: str, *, ca_file: str | None = None) -> "Target":
        """The gateway at a URL, with or without `/v1` at its end, as clients have it for `base_url`.

        Raises:
            ValueError: not an absolute `http://` or `https://` URL.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("expected a URL such as https://llm.example.org")
        if parts.username is not None or parts.password is not None:
            raise ValueError("expected a URL without a user name and a password")
        _ = parts.port  # a port that is no number raises here
        prefix = parts.path.rstrip("/").removesuffix("/v1")
        if not all("!" <= character <= "~" for character in prefix):
            raise ValueError("expected a path of visible ASCII characters")
        return cls(url.rstrip("/").removesuffix("/v1"), Origin.from_url(url, ca_file=ca_file), prefix)


class Situation(msgspec.Struct, frozen=True):
    """Everything that checks start from.

    Attributes:
        project: None where there is none, or its file cannot be used.
        unusable: why the file cannot be used.
        examine: looks at what the project refers to, as `headworks check` does.
        target: the gateway; None where its address is not known.
        is_elsewhere: the gateway was named, so that it need not be the project's or run on this machine.
        key: a virtual key of that gateway, if one was given.
        is_paid: calls that cost money may be made.
        quiet_s: how long the long checks stay silent; 0 leaves them out.
        now: seconds since the Unix epoch.
    """

    environment: Mapping[str, str]
    now: Callable[[], float]
    project: Project | None = None
    unusable: ConfigError | None = None
    examine: Callable[[Project], Examination] | None = None
    target: Target | None = None
    is_elsewhere: bool = False
    key: Secret | None = None
    is_paid: bool = False
    quiet_s: float = 0.0


def target_of(project: Project, running: Holder | None = None) -> Target | None:
    """The gateway of this project on this machine; None where its address cannot be known (a port that is picked at the
    start, of one that does not run), or it cannot be asked by the name in its certificate.

    Arguments:
        running: the one that runs, where that is known: it may have been told another address than the file's.
    """
    server = project.config.server
    host, port = (server.host, server.port) if running is None else (running.host, running.port)
    if port == 0 or server.tls is not None:
        return None
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    shown = f"[{host}]" if ":" in host else host
    return Target.from_url(f"http://{shown}:{port}")


def existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder

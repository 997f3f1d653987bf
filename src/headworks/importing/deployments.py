"""What stands behind a public name in all three gateways: deployments, and what each is made of."""

import msgspec

from headworks.importing.source import Place
from headworks.importing.upstreams import Kind

ANY = "*"
"""In place of a model's name: whatever the caller names."""


class Connection(msgspec.Struct, frozen=True):
    """What makes one provider of ours; `name` is the one it should have. Times are in seconds. `own` are fields that
    only its kind has."""

    name: str
    kind: Kind
    base_url: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    total_s: float | None = None
    between_bytes_s: float | None = None
    speaks: tuple[str, ...] = ()
    own: tuple[tuple[str, str], ...] = ()


class Account(msgspec.Struct, frozen=True, order=True):
    """What makes one pool of a provider. `weight` is a share, whole once it is in our file; `base_url` is its own."""

    api_key: str = ""
    organization: str = ""
    project: str = ""
    base_url: str = ""
    weight: float = 1
    tier: int = 0

    @property
    def who(self) -> tuple[str, ...]:
        """What tells it from other accounts of the same provider."""
        return self.api_key, self.organization, self.project, self.base_url


class Asked(msgspec.Struct, frozen=True):
    """How much may be asked for, by the minute."""

    requests: int | None = None
    tokens: int | None = None


class Deployment(msgspec.Struct, frozen=True):
    """One upstream model behind a public name.

    Attributes:
        place: where it stands in the source; `named` is the place of the setting that binds it to its public name.
        settled: further settings of it, with what to say of each; `{at}`, `{provider}`, `{limits}`, `{price}`,
            `{share}`, `{order}` and `{droppable}` stand for places in our file.
    """

    connection: Connection
    account: Account
    model: str
    place: Place
    named: Place
    asked: Asked = Asked()
    prices: dict[str, str] = {}
    settled: tuple[tuple[Place, str], ...] = ()

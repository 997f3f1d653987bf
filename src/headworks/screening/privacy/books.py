"""A book: which token stands for which value, in one conversation of one tenant."""

import hashlib
import hmac
from collections.abc import Iterable

import msgspec

from headworks.screening.privacy.kinds import Kind
from headworks.screening.privacy.tokens import suffix_of, token

_HASH_CHARACTERS = 16  # 64 bits: a collision takes billions of values


class Entry(msgspec.Struct, frozen=True):
    """One line: a token, the kind's name, and the value as it was written."""

    token: str
    kind: str
    value: str


class TokenBook:
    """The values of one conversation. A caller's texts can only ever give values of the book that the call has.

    Within a tenant a value has the same token for good: over the turns of a conversation whose history the caller
    brings along, over workers and restarts, and so that a provider's prompt cache still fits. What a token leads back
    to is another matter: only what the call itself, or its conversation, has brought up.

    State: the entries, and which of them are new. For one call at a time.

    Arguments:
        tenant_key: tokens and hashes are derived from it; whoever does not have it can guess none.

    Attributes:
        needs_escapes: whether a value may have to be written otherwise within JSON.
    """

    __slots__ = ("_by_token", "_by_value", "_new", "_tenant_key", "_token_key", "needs_escapes")

    def __init__(self, tenant_key: bytes, entries: Iterable[Entry] = ()) -> None:
        self._tenant_key = tenant_key
        self._token_key = hmac.digest(tenant_key, b"tokens", hashlib.sha256)
        self._by_value: dict[tuple[str, str], str] = {}
        self._by_token: dict[str, str] = {}
        self._new: list[Entry] = []
        self.needs_escapes = False
        for entry in entries:
            self.learn(entry)

    @classmethod
    def of_tenant(cls, secret: bytes, tenant: str) -> "TokenBook":
        """An empty book.

        Arguments:
            secret: of this installation.
            tenant: whose call it is; two tenants have different tokens for the same value.
        """
        return cls(hmac.digest(secret, b"privacy\0" + tenant.encode(), hashlib.sha256))

    def learn(self, entry: Entry) -> None:
        """Take over what is kept. What is known already is left as it is."""
        if entry.token not in self._by_token:
            self._by_token[entry.token] = value = entry.value
            self.needs_escapes = self.needs_escapes or '"' in value or "\\" in value or not value.isprintable()
            self._by_value[entry.kind, entry.value] = entry.token

    def token_for(self, kind: Kind, value: str) -> str:
        """The value's token: the same for the same kind and value, as long as the book lasts."""
        known = self._by_value.get((kind.name, value))
        if known is not None:
            return known
        attempt = 0
        while True:
            made = token(kind.label, suffix_of(self._token_key, kind.name, value, attempt))
            if made not in self._by_token:
                break
            attempt += 1
        entry = Entry(made, kind.name, value)
        self.learn(entry)
        self._new.append(entry)
        return made

    def value_of(self, written: str) -> str | None:
        """The value behind a token in its right form, if it is one of this book."""
        return self._by_token.get(written)

    def hash_of(self, kind: Kind, value: str) -> str:
        """A word that stands for a value for good, within the tenant. It leads nowhere back."""
        message = b"\0".join((b"hash", kind.name.encode(), value.encode("utf-8", "surrogatepass")))
        return f"{kind.label}_{hmac.digest(self._tenant_key, message, hashlib.sha256).hex()[:_HASH_CHARACTERS]}"

    def digest(self) -> str:
        """A hash of all tokens with their values."""
        written = hashlib.sha256()
        for made, value in sorted(self._by_token.items()):
            data = value.encode("utf-8", "surrogatepass")
            written.update(b"%b %d %b" % (made.encode(), len(data), data))
        return written.hexdigest()

    @property
    def has_entries(self) -> bool:
        """Whether there is any token."""
        return bool(self._by_token)

    def take_new(self) -> list[Entry]:
        """What was added since this was last asked; for who keeps it."""
        new, self._new = self._new, []
        return new

"""From what an identity provider says of somebody to their roles. Pure.

An e-mail address counts only where the token says that it was verified: at some providers, users write there what they
like. A subject (`sub`) is the user's for good.
"""

from collections.abc import Iterable, Mapping

import msgspec

from headworks.access import Role, RoleGrant
from headworks.access.tokens import Claims, claim_of, texts_of
from headworks.config import Access

_MOST_TEXTS = 1000
_SCOPES = ("scope", "scp")  # RFC 8693 §4.2; Entra ID

Texts = Mapping[str, tuple[str, ...]]
"""Claims by name, each with the texts that some rule asks for."""


class Rule(msgspec.Struct, frozen=True):
    """A claim that brings a role along. `issuer` "" is any."""

    issuer: str
    claim: str
    value: str
    grant: RoleGrant

    def holds(self, issuer: str, texts: Texts) -> bool:
        """Whether it does of these."""
        return self.issuer in ("", issuer) and self.value in texts.get(self.claim, ())


def rules_of(access: Access) -> tuple[Rule, ...]:
    """The rules that a configuration comes to; a user is a rule for each of the roles."""
    found = [
        Rule(one.issuer or "", one.claim, one.value, RoleGrant(Role(one.role), one.organisation))
        for one in access.roles
    ]
    for user in access.users:
        claim, value = ("sub", user.subject) if user.subject is not None else ("email", user.email)
        assert value is not None, "one of the two is there"
        found += [
            Rule(user.issuer or "", claim, value, RoleGrant(Role(role), user.organisation)) for role in user.roles
        ]
    return tuple(found)


def texts_for(rules: Iterable[Rule], issuer: str, claims: Claims) -> dict[str, tuple[str, ...]]:
    """Of what a token says, that which some rule asks for: no more of a person is kept."""
    wanted: dict[str, set[str]] = {}
    for rule in rules:
        if rule.issuer in ("", issuer):
            wanted.setdefault(rule.claim, set()).add(rule.value)
    found = {}
    for claim, values in wanted.items():
        if not may_count(claims, claim):
            continue
        texts = _texts(claims, claim)
        said = tuple(sorted(values.intersection(texts)))
        if said:
            found[claim] = said
    return found


def may_count(claims: Claims, name: str) -> bool:
    """Whether a claim is its issuer's word: an address that was not verified is the user's own, however it is named."""
    return name not in ("email", "/email") or claims.get("email_verified") is True


def grants_of(rules: Iterable[Rule], issuer: str, texts: Texts) -> tuple[RoleGrant, ...]:
    """The roles that follow."""
    return tuple(dict.fromkeys(rule.grant for rule in rules if rule.holds(issuer, texts)))


def _texts(claims: Claims, name: str) -> list[str]:
    """A claim's texts: those of a list; one text is one, but for scopes, which have spaces between them. Words of other
    texts do not count: users may write some of those themselves."""
    value = claim_of(claims, name)
    if isinstance(value, str) and name not in _SCOPES:
        return [value]
    return list(texts_of(value) or ())[:_MOST_TEXTS]

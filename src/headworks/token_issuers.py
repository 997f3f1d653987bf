"""From `access.tokens` of `headworks.yaml` to issuers as `access` has them: whose tokens are taken, and their keys."""

import time
from typing import TYPE_CHECKING

from headworks.calls import Limits
from headworks.config import Project
from headworks.config.sections.access import TokenIssuer
from headworks.errors import ConfigError
from headworks.telemetry import report

if TYPE_CHECKING:
    from headworks.access.issuers import Issuers


def check_key_sets(project: Project) -> None:
    """Key sets in files of the operator's own: what is wrong with one is better known now than when a token comes.

    Raises:
        ConfigError: a file cannot be used, with its place in `headworks.yaml`.
    """
    from headworks.access.key_sets import read_key_set

    for number, one in enumerate(project.config.access.tokens):
        if one.jwks_file is None:
            continue
        try:
            read_key_set(project.path(one.jwks_file).read_bytes())
        except (OSError, ValueError) as error:
            words = (error.strerror or type(error).__name__) if isinstance(error, OSError) else str(error)
            place = ("access", "tokens", number, "jwks_file")
            raise ConfigError(project.problem(place, f"cannot be used: {words}")) from None


def token_issuers(project: Project) -> "Issuers":
    """Whose tokens are taken. Key sets are in files: the operator's own, or those that are fetched for the gateway."""
    from headworks.access.issuers import Issuers, Source, key_set_file  # only who has some loads it
    from headworks.access.tokens import ClaimNames, Issuer

    def source(one: TokenIssuer) -> Source:
        claims = one.claims
        names = ClaimNames(claims.owner, claims.team or "", claims.models or "", claims.role or "")
        limits = Limits(**{name: getattr(one.limits, name) for name in Limits.__struct_fields__})
        issuer = Issuer(one.issuer, one.audience, names, one.team or "", one.models, limits, one.networks, one.leeway_s)
        if one.jwks_file is not None:
            return Source(issuer, project.path(one.jwks_file), is_fetched=False)
        return Source(issuer, key_set_file(project.storage, one.issuer, one.jwks_url), is_fetched=True)

    config = project.config.access
    return Issuers([source(one) for one in config.tokens], time.time, teams=config.teams, say=report)

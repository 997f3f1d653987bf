"""What `headworks.yaml` says of AWS, as `providers.bedrock` wants it."""

from collections.abc import Callable

from headworks.config.sections.kinds import region_at
from headworks.config.sections.providers import Provider
from headworks.sigv4 import Credentials, packed
from headworks.transport import Origin


def signing_key(provider: Provider, secret: Callable[[str, str], str]) -> str:
    """The provider's access key, as one line to sign with; "" where it has none.

    Arguments:
        secret: what a reference leads to, by the reference and the field that it stands in.
    """
    if provider.access_key_id is None or provider.secret_access_key is None:
        return ""
    key_id = secret(provider.access_key_id, "access_key_id")
    key = secret(provider.secret_access_key, "secret_access_key")
    token = "" if provider.session_token is None else secret(provider.session_token, "session_token")
    return packed(Credentials(key_id, key, token))


def aws_fields(provider: Provider, base_url: str) -> dict[str, str]:
    """The fields of `ProviderSettings` that only AWS has.

    Arguments:
        base_url: of the provider, or of the pool.
    """
    return {
        "region": region_at(base_url) or provider.region or "",
        "host": Origin.from_url(base_url).authority,
        "guardrail": provider.guardrail or "",
        "latency": provider.latency or "",
    }

"""The section `secrets` of `headworks.yaml`: which secret managers there are, and how they are asked.

Only who names a secret of a manager needs any of it. What is left out is taken from where the manager's own tools
look: environment variables, profile files, the machine's own identity.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from headworks.config.references import PATTERN

LOCAL_PATTERN = "^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$"

SecretReference = Annotated[
    str,
    Meta(
        pattern=PATTERN,
        extra={"form": "secret-reference"},
        examples=["env:OPENAI_API_KEY", "file:/run/secrets/openai", "vault:secret/openai#api_key"],
    ),
]
"""Where a secret is. Never the secret."""

LocalSecretReference = Annotated[
    str,
    Meta(
        pattern=LOCAL_PATTERN,
        extra={"form": "local-secret-reference"},
        examples=["env:VAULT_TOKEN", "file:/run/secrets/token"],
    ),
]
"""The same where no manager can be asked: what a start needs before anything else, and what opens a manager."""

_Path = Annotated[str, Meta(min_length=1, max_length=4096, extra={"form": "path"})]
_Url = Annotated[str, Meta(extra={"form": "base-url"})]
_Name = Annotated[str, Meta(min_length=1, max_length=256)]


class Vault(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """HashiCorp Vault or OpenBao, for references `vault:MOUNT/PATH#FIELD`."""

    address: Annotated[_Url | None, Meta(description="Where it is. Left out: `VAULT_ADDR` or `BAO_ADDR`.")] = None
    namespace: Annotated[
        _Name | None, Meta(description="Namespace. Left out: `VAULT_NAMESPACE` or `BAO_NAMESPACE`, or none.")
    ] = None
    kv: Annotated[Literal[1, 2], Meta(description="Version of the key-value engine of all mounts named.")] = 2
    auth: Annotated[
        Literal["token", "approle", "kubernetes"], Meta(description="How this gateway shows who it is.")
    ] = "token"
    auth_mount: Annotated[
        _Name | None, Meta(description="Where the auth method is mounted. Left out: where it is by default.")
    ] = None
    token: Annotated[
        LocalSecretReference | None,
        Meta(description="For `token`. Left out: `VAULT_TOKEN` or `BAO_TOKEN`."),
    ] = None
    role_id: Annotated[LocalSecretReference | None, Meta(description="For `approle`: the role's id.")] = None
    secret_id: Annotated[LocalSecretReference | None, Meta(description="For `approle`: the role's secret id.")] = None
    role: Annotated[_Name | None, Meta(description="For `kubernetes`: the role to log in as.")] = None
    ca_file: Annotated[
        _Path | None, Meta(description="PEM file with the authorities to trust instead of the system's.")
    ] = None


class Aws(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """AWS Secrets Manager and SSM Parameter Store, for references `aws-sm:NAME` and `aws-ssm:NAME`. Credentials are
    looked for in the environment, the profile file, a web identity, the container and the machine, in this order."""

    region: Annotated[
        Annotated[str, Meta(pattern="^[a-z0-9-]{1,32}$")] | None,
        Meta(description="Region. Left out: `AWS_REGION`, `AWS_DEFAULT_REGION`, or the profile's."),
    ] = None
    profile: Annotated[
        _Name | None, Meta(description="Profile of the credentials file. Left out: `AWS_PROFILE`, or `default`.")
    ] = None
    endpoint: Annotated[_Url | None, Meta(description="Where both are asked instead of AWS's own addresses.")] = None


class Google(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Google Secret Manager, for references `gcp-sm:PROJECT/NAME`."""

    credentials: Annotated[
        _Path | None,
        Meta(
            description="JSON key file of a service account. Left out: `GOOGLE_APPLICATION_CREDENTIALS`, or the "
            "account of the machine."
        ),
    ] = None
    endpoint: Annotated[_Url | None, Meta(description="Where it is asked instead of Google's own address.")] = None


class Azure(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Azure Key Vault, for references `azure-kv:VAULT/NAME`."""

    tenant: Annotated[_Name | None, Meta(description="Tenant id. Left out: `AZURE_TENANT_ID`.")] = None
    client: Annotated[
        _Name | None, Meta(description="Client id of an application or an identity. Left out: `AZURE_CLIENT_ID`.")
    ] = None
    client_secret: Annotated[
        LocalSecretReference | None,
        Meta(
            description="The application's secret. Left out: `AZURE_CLIENT_SECRET`; where that is not set either, the "
            "machine's managed identity is used."
        ),
    ] = None
    endpoint: Annotated[
        _Url | None, Meta(description="Where all vaults are asked instead of `https://VAULT.vault.azure.net`.")
    ] = None
    authority: Annotated[_Url, Meta(description="Where tokens are asked for.")] = "https://login.microsoftonline.com"


class Secrets(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Provider keys by reference: how often they are looked up again, and where."""

    refresh_s: Annotated[
        float, Meta(description="Seconds from one look at every key to the next, by one process.", ge=1, le=86_400)
    ] = 300.0
    overlap_s: Annotated[
        float,
        Meta(
            description="Seconds for which the key before a new one is kept: calls whose new key is refused are made "
            "with it.",
            ge=0,
            le=604_800,
        ),
    ] = 3600.0
    stale_for_s: Annotated[
        float,
        Meta(
            description="Seconds for which a key goes on after its manager, or its file, has last given it, while it "
            "cannot be looked at. After that calls with it are refused until it can.",
            ge=1,
            le=31_536_000,
        ),
    ] = 86_400.0
    timeout_s: Annotated[float, Meta(description="Seconds that a manager may take to answer.", ge=0.1, le=60)] = 5.0
    vault: Annotated[Vault, Meta(description="HashiCorp Vault or OpenBao.")] = Vault()
    aws: Annotated[Aws, Meta(description="AWS Secrets Manager and SSM Parameter Store.")] = Aws()
    google: Annotated[Google, Meta(description="Google Secret Manager.")] = Google()
    azure: Annotated[Azure, Meta(description="Azure Key Vault.")] = Azure()

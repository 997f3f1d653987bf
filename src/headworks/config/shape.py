"""The whole of `headworks.yaml`: what its sections (`headworks.config.sections`) are together."""

from typing import Annotated, Literal

from msgspec import Meta, field

from headworks.config.managers import Secrets
from headworks.config.privacy import PlainScreening
from headworks.config.sections.access import Access
from headworks.config.sections.administration import Admin
from headworks.config.sections.alerts import Alerts
from headworks.config.sections.base import FilePath, Section
from headworks.config.sections.extensions import LOCAL_NAME, Hook
from headworks.config.sections.models import PUBLIC_MODEL_NAME, Model, Tiers
from headworks.config.sections.prices import Pricing
from headworks.config.sections.providers import PROVIDER_NAME, Provider
from headworks.config.sections.realtime import Realtime
from headworks.config.sections.records import Audit, Quotas, Records, Storage
from headworks.config.sections.server import Server
from headworks.config.sections.upstreams import Defaults


class Config(Section, frozen=True, kw_only=True):
    """The whole of `headworks.yaml`."""

    version: Annotated[Literal[1], Meta(description="The version of this file's format.")] = 1
    server: Annotated[Server, Meta(description="The listener.")] = Server()
    access: Annotated[Access, Meta(description="Who may call.")] = Access()
    admin: Annotated[Admin, Meta(description="The admin API.")] = Admin()
    storage: Annotated[Storage, Meta(description="Where state is kept.")] = Storage()
    records: Annotated[Records, Meta(description="What is kept of each call.")] = Records()
    alerts: Annotated[Alerts, Meta(description="Who is told when a budget is reached.")] = Alerts()
    audit: Annotated[Audit, Meta(description="The log of who did what, in which changes are found.")] = Audit()
    quotas: Annotated[Quotas, Meta(description="Limits that workers and machines share.")] = Quotas()
    secrets: Annotated[Secrets, Meta(description="Where keys are that a secret manager keeps.")] = Secrets()
    providers: Annotated[
        dict[
            Annotated[
                str,
                Meta(
                    pattern=PROVIDER_NAME,
                    extra={"expected": "a name of lower-case letters, digits and `-`, beginning with a letter"},
                ),
            ],
            Provider,
        ],
        Meta(description="The upstreams, by name; at least one.", min_length=1),
    ]
    models: Annotated[
        dict[
            Annotated[
                str,
                Meta(
                    pattern=PUBLIC_MODEL_NAME,
                    extra={
                        "expected": "a name of letters, digits and `. _ : / @ + -`, beginning with a letter or digit"
                    },
                ),
            ],
            Model,
        ],
        Meta(description="Public model names and what they stand for."),
    ] = field(default_factory=dict)
    tiers: Annotated[Tiers, Meta(description="The models that contracts call by their role.")] = Tiers()
    prices: Annotated[Pricing, Meta(description="What calls cost here, beside the list prices.")] = Pricing()
    workloads: Annotated[
        FilePath, Meta(description="Folder of the workloads, one folder each. It need not be there.")
    ] = "workloads"
    screening: Annotated[
        PlainScreening, Meta(description="What is looked for in calls that belong to no workload.")
    ] = PlainScreening()
    realtime: Annotated[Realtime, Meta(description="Sessions over a WebSocket.")] = Realtime()
    hooks: Annotated[
        dict[
            Annotated[
                str,
                Meta(
                    pattern=LOCAL_NAME,
                    extra={"expected": "a name of lower-case letters, digits and `-`, beginning with a letter"},
                ),
            ],
            Hook,
        ],
        Meta(
            description="What other packages do before and after calls, by a name of yours; they are asked in this "
            "order."
        ),
    ] = field(default_factory=dict)
    defaults: Annotated[Defaults, Meta(description="What providers inherit.")] = Defaults()

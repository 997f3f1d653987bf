"""The sections `models` and `tiers`: public names of models, the targets that each stands for, and the models that
contracts call by their role.
"""

from typing import Annotated

from msgspec import Meta
from msgspec.structs import force_setattr

from headworks.config.sections.base import MOST_TIER, Droppable, Section, TargetName, UpstreamModelName, Weight

PUBLIC_MODEL_NAME = "^[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,127}$"
"""A model's public name: what callers send as `model`."""


class ModelTarget(Section, frozen=True):
    """One of several targets that serve a public name equally well; `provider/model` is the short form."""

    target: Annotated[TargetName, Meta(description="The target, as `provider/model`.")]
    weight: Weight = 1
    tier: Annotated[
        int,
        Meta(description="Targets of a higher tier are used only while none of a lower one can.", ge=0, le=MOST_TIER),
    ] = 0

    @classmethod
    def from_text(cls, text: str) -> "ModelTarget":
        """The short form.

        Raises:
            ValueError: without a name on both sides of a slash.
        """
        _halves_of(text)
        return cls(text)

    @property
    def provider(self) -> str:
        """The name of the provider."""
        return self.target.partition("/")[0]

    @property
    def model(self) -> str:
        """The model's name there."""
        return self.target.partition("/")[2]


class Model(Section, frozen=True):
    """What a public model name stands for; `provider/model` is the short form."""

    provider: Annotated[str, Meta(description="Name of the provider; needed where there are no `targets`.")] = ""
    model: Annotated[
        UpstreamModelName,
        Meta(description="The model's name at that provider; needed where there are no `targets`."),
    ] = ""
    targets: Annotated[
        Annotated[tuple[ModelTarget, ...], Meta(min_length=1)],
        Meta(
            description="In the place of `provider` and `model`: several targets that serve this name equally well, "
            "each `provider/model` or `{target: provider/model, weight, tier}`. Load is spread over them, and a call "
            "that fails at one goes on with another. What is worked out ahead (estimates, limits on the length of "
            "prompts) goes by the first."
        ),
    ] = ()
    fallback: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=320, extra={"form": "model-name"})], ...],
        Meta(description="Public names, or `provider/model`, of models to go on with when this one fails, in order."),
    ] = ()
    droppable: Annotated[
        Droppable,
        Meta(
            description="Fields of requests that are left out for a target of this name, or of its fallbacks, that has "
            "nothing for them, and then named in the header `x-headworks-dropped`. Without it, the call is refused."
        ),
    ] = ()
    answer: Annotated[
        Annotated[str, Meta(min_length=1, max_length=20_000)] | None,
        Meta(
            description="The text that calls of this name are answered when it and its fallbacks have failed. Left "
            "out: they get the error. What asks for JSON always does."
        ),
    ] = None

    def __post_init__(self) -> None:
        if self.targets and not self.provider:
            force_setattr(self, "provider", self.targets[0].provider)
            force_setattr(self, "model", self.targets[0].model)

    @classmethod
    def from_text(cls, text: str) -> "Model":
        """The short form. Upstream names may hold slashes: only the first one divides.

        Raises:
            ValueError: without a name on both sides of a slash.
        """
        provider, model = _halves_of(text)
        return cls(provider=provider, model=model)

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Provider and model of everything that the name stands for."""
        return tuple((one.provider, one.model) for one in self.targets) or ((self.provider, self.model),)


def _halves_of(text: str) -> tuple[str, str]:
    provider, slash, model = text.partition("/")
    if not (provider and slash and model):
        raise ValueError("expected `provider/model`")
    return provider, model


TIER_ROLES = ("nano", "mini", "flagship")
"""What a workload's contract calls models by, from cheapest to best: the fields of `Tiers`."""

TierModel = Annotated[str, Meta(min_length=1, max_length=256, extra={"form": "model-name"})]


class Tiers(Section, frozen=True):
    """Which model plays each role. Contracts name roles, so that a new generation of models is one change, here."""

    nano: Annotated[TierModel | None, Meta(description="The cheapest: a public model name, or `provider/model`.")] = (
        None
    )
    mini: Annotated[TierModel | None, Meta(description="The middle one, named in the same way.")] = None
    flagship: Annotated[TierModel | None, Meta(description="The best, named in the same way.")] = None

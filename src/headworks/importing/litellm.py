"""LiteLLM's `config.yaml`: models, then what its sections say; the tables of the rest are in `litellm_settings`."""

from collections.abc import Mapping

from headworks.importing.deployments import ANY
from headworks.importing.draft import Composer, Group
from headworks.importing.keys import Keys, variable_of
from headworks.importing.ledger import Ledger
from headworks.importing.litellm_access import Access
from headworks.importing.litellm_entry import NOWHERE, Entry, Refused, provider_of
from headworks.importing.litellm_guardrails import Guardrails
from headworks.importing.litellm_settings import Settings
from headworks.importing.result import Imported, all_texts, imported
from headworks.importing.source import Place, Source, Value
from headworks.importing.upstreams import upstream_named
from headworks.importing.writing import Sections

_UNKNOWN = "nothing here has this name: look for its purpose in docs/reference/configuration.md"


def import_litellm(source: Source, *, environment: Mapping[str, str], simulator: str | None = None) -> Imported:
    """Our files in the place of LiteLLM's.

    Arguments:
        source: the file.
        environment: where a variable is looked up that stands for an address.
        simulator: an origin that stands in for all providers.
    """
    ledger, keys, sections = Ledger(source), Keys(all_texts(source), _usual(source)), Sections()
    known = dict(environment)
    if simulator is not None:  # nobody is asked at an address of theirs
        named = {name for text in all_texts(source) if (name := variable_of(text)) is not None}
        known = {name: _stand_in(name) for name in named} | known
    groups = _groups(source, ledger, keys, known)
    settings = Settings(source, ledger, keys, sections, is_trial=simulator is not None)
    settings.shares(groups)
    settings.droppable(groups)
    settings.aliases(groups)
    fallbacks = settings.fallbacks(groups)
    composed = Composer(groups, ledger, source).compose()
    settings.settle_fallbacks(fallbacks, composed)
    Guardrails(source, ledger, sections).read()
    commands = Access(source, ledger, sections, [group.name for group in groups]).read()
    settings.read()
    return imported(
        composed,
        sections,
        ledger,
        keys,
        source=source,
        gateway="LiteLLM",
        unknown=_UNKNOWN,
        simulator=simulator,
        commands=commands,
    )


def _stand_in(variable: str) -> str:
    """What a variable may hold that is not set, where nobody goes by it."""
    if "PROJECT" in variable:
        return "trial"
    return "us-east-1" if "REGION" in variable or "LOCATION" in variable else NOWHERE


def _groups(source: Source, ledger: Ledger, keys: Keys, environment: dict[str, str]) -> list[Group]:
    """All public names with the deployments that can be ours; the rest is in the ledger."""
    groups: dict[str, Group] = {}
    credentials = _credentials(source)
    for index, value in enumerate((source.root.get("model_list") or Value(0)).items or ()):
        place: Place = ("model_list", index)
        if value.fields is None:
            continue
        entry = Entry(value, place, credentials=credentials, ledger=ledger, keys=keys)
        try:
            made = entry.deployments(environment)
        except Refused as refused:
            ledger.missing(place, str(refused))
            continue
        group = groups.setdefault(entry.name, Group(entry.name, []))
        group.deployments += made
        group.droppable |= entry.droppable
    assert all(group.name.endswith("/*") == (group.deployments[0].model == ANY) for group in groups.values())
    return list(groups.values())


def _credentials(source: Source) -> dict[str | None, dict[str, tuple[Value, Place]]]:
    found: dict[str | None, dict[str, tuple[Value, Place]]] = {}
    for index, one in enumerate((source.root.get("credential_list") or Value(0)).items or ()):
        name, values = one.get("credential_name"), one.get("credential_values")
        if name is not None and name.text and values is not None:
            place: Place = ("credential_list", index, "credential_values")
            found[name.text] = {field: (value, (*place, field)) for field, value in (values.fields or {}).items()}
    return found


def _usual(source: Source) -> list[str]:
    """The variables that LiteLLM looks for where an entry names no key."""
    found: list[str] = []
    for value in (source.root.get("model_list") or Value(0)).items or ():
        params = value.get("litellm_params") or Value(0)
        model = (params.get("model") or Value(0)).text or ""
        named = upstream_named(provider_of(model)[0])
        if named is not None and not {"api_key", "litellm_credential_name"} & set(params.fields or {}):
            found.append(named[1].variable)
    return found

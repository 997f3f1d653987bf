"""Our file as text, with comments that say which line of theirs each part came from."""

import json
import re
import textwrap
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal

import msgspec

from headworks.config import SCHEMA_FILE, is_reference
from headworks.importing.deployments import ANY, Asked
from headworks.importing.draft import Composed, ModelDraft, Pool, ProviderDraft, TargetDraft
from headworks.importing.keys import Variable
from headworks.importing.upstreams import Kind, needs_insecure

PLAN_FILE = "simulator.yaml"
"""The plan of the simulator that stands in for the providers."""

KEY_FILE = "simulator.key"
"""What is sent to it as every key: it takes any, and so a trial needs no variable of anybody's."""

_KEY = f"file:{KEY_FILE}"

_PLAIN = r"[A-Za-z/][A-Za-z0-9_./@+-]*(:[A-Za-z0-9_./@+-]+)*"
_LONG = 4
"""From so many fields on, a list that several names have stands in the file once."""

_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off"})
_PATHS = {"gemini": "/v1beta", "azure": "", "bedrock": "", "vertex": "/v1beta"}
"""Where the simulator has an API that is not below `/v1`."""

_STAND_INS: dict[Kind, tuple[Kind, tuple[tuple[str, str], ...]]] = {
    "vertex": ("gemini", ()),
    "bedrock": ("bedrock", (("region", "us-east-1"),)),
}
"""Of providers that want a cloud's own credentials: what the simulator is asked as."""


class Sections(msgspec.Struct):
    """What our file says beside providers and models: by section, fields with values and a line of theirs."""

    fields: dict[str, dict[str, tuple[object, int]]] = msgspec.field(default_factory=dict)

    def set(self, section: str, field: str, value: object, line: int) -> None:
        """Say something in a section such as `defaults.timeouts`; the first to say it is right."""
        self.fields.setdefault(section, {}).setdefault(field, (value, line))

    def get(self, section: str, field: str) -> object:
        """What was said; None if nothing was."""
        return self.fields.get(section, {}).get(field, (None, 0))[0]


def write(
    composed: Composed,
    sections: Sections,
    *,
    source: str,
    gateway: str,
    variables: tuple[Variable, ...],
    simulator: str | None = None,
) -> str:
    """The text of headworks.yaml.

    Arguments:
        composed: providers, models, prices.
        sections: all else.
        source: the name of the file that it came from.
        gateway: whose file that was.
        variables: what has to be set in the environment.
        simulator: an origin such as `http://127.0.0.1:4010` that stands in for every provider.
    """
    lines = [f"# yaml-language-server: $schema={SCHEMA_FILE}", "#"]
    lines += [f"# Made from {source} of {gateway} by `headworks import`. `:12` is a line of that file."]
    lines += ["# Check it: headworks check     Start it: headworks serve     Make a key: headworks keys create NAME"]
    if simulator is not None:
        lines += ["#", f"# This is a trial: {simulator} stands in for every provider. For good: import without it."]
    if variables:
        lines += ["#", "# Set these environment variables before:"]
        lines += [
            f"#   {one.name}  # {one.purpose}" + (f"; its value stands in clear in {source}" if one.was_clear else "")
            for one in variables
        ]
    lines += ["", "version: 1"]
    for section in ("server", "access", "quotas", "records", "screening"):
        lines += _section(section, sections)
    lines += ["", "providers:"]
    if not composed.providers:
        lines += ["  # Nothing of the source could be a provider here: this stands in, so that the file is whole."]
        lines += ["  simulator:", "    kind: simulator"]
    for provider in composed.providers:
        lines += _provider(provider, simulator)
    if composed.models:
        lines += ["", "models: # what callers may name, besides provider/model"]
        lines += _models(composed.models)
    if composed.prices:
        lines += ["", "prices: # dollars per million tokens", "  models:"]
        for target, prices in composed.prices.items():
            body = ", ".join(f"{field}: {price}" for field, price in prices.items())
            lines.append(f"    {text(target)}: {{ {body} }}")
    defaults = sections.fields.get("defaults", {})
    timeouts = sections.fields.get("defaults.timeouts", {})
    if defaults or timeouts:
        lines += ["", "defaults:"]
        lines += [f"  {field}: {_value(value)}{_mark(line)}" for field, (value, line) in defaults.items()]
        if timeouts:
            lines.append("  timeouts:")
            lines += [f"    {field}: {_value(value)}{_mark(line)}" for field, (value, line) in timeouts.items()]
    return "\n".join(lines) + "\n"


def plan_of(composed: Composed) -> str:
    """A simulator's plan, in which it has every model that the providers name, and every target."""
    named = {model for provider in composed.providers for model in provider.models or ()}
    named |= {one.target.partition("/")[2] for model in composed.models for one in model.targets}
    models = sorted(named)
    lines = [f"# Stands in for every provider of headworks.yaml: headworks simulate --plan {PLAN_FILE}"]
    lines.append("models:" if models else "models: {}")
    lines += [f"  {text(one)}: {'{ kind: embedding }' if 'embed' in one.lower() else '{}'}" for one in models]
    return "\n".join(lines) + "\n"


def text(value: str) -> str:
    """A text as YAML: plain where that is read as text by everyone, else in double quotes."""
    if re.fullmatch(_PLAIN, value) and value.lower() not in _WORDS:
        return value
    return json.dumps(value)


def _section(name: str, sections: Sections) -> list[str]:
    fields = sections.fields.get(name)
    if not fields:
        return []
    return ["", f"{name}:", *(f"  {field}: {_value(value)}{_mark(line)}" for field, (value, line) in fields.items())]


def _provider(provider: ProviderDraft, simulator: str | None) -> list[str]:
    connection = provider.connection
    where = " ".join(f":{line}" for line in sorted(set(provider.lines))[:12])
    kind, own = (connection.kind, connection.own)
    if simulator is not None:
        kind, own = _STAND_INS.get(kind, (kind, own))
    lines = [f"  {provider.name}: # {where}", f"    kind: {kind}"]
    lines += [f"    {field}: {text(said)}" for field, said in own]
    base_url = connection.base_url
    if simulator is not None:
        base_url = base_url or " and ".join(pool.account.base_url for pool in provider.pools if pool.account.base_url)
        instead = simulator + _PATHS.get(connection.kind, "/v1")
        lines.append(
            f"    base_url: {text(instead)} # the simulator, in the place of {base_url or 'the usual address'}"
        )
    elif base_url is not None:
        lines.append(f"    base_url: {text(base_url)}")
    if simulator is None and needs_insecure(base_url or provider.pools[0].account.base_url or None):
        lines.append("    insecure: true # as it was: keys and texts travel in clear; better is https://")
    if connection.speaks:
        lines.append(f"    speaks: [{', '.join(connection.speaks)}]")
    if provider.models is not None:
        lines.append(f"    models: [{', '.join(text(model) for model in provider.models)}]")
    if connection.headers:
        lines.append("    headers:")
        lines += [
            f"      {text(name)}: {text(_KEY if simulator is not None and is_reference(value) else value)}"
            for name, value in connection.headers
        ]
    if len(provider.pools) == 1:
        lines += [f"    {line}" for line in _pool(provider.pools[0], simulator)]
    else:
        lines += ["    pools:", *(line for pool in provider.pools for line in _named_pool(pool, simulator))]
    times = {"total_s": connection.total_s, "first_byte_s": connection.total_s}
    times["between_bytes_s"] = connection.between_bytes_s
    said = ", ".join(f"{field}: {seconds:g}" for field, seconds in times.items() if seconds is not None)
    if said:
        lines.append(f"    timeouts: {{ {said} }}")
    return lines


def _named_pool(pool: Pool, simulator: str | None) -> list[str]:
    body = _pool(pool, simulator) or ["weight: 1 # without a key"]
    return [f"      {pool.name}:", *(f"        {line}" for line in body)]


def _pool(pool: Pool, simulator: str | None) -> list[str]:
    account = pool.account
    lines: list[str] = []
    texts = {"api_key": account.api_key, "organization": account.organization, "project": account.project}
    texts = {"base_url": account.base_url, **texts} if simulator is None else {**texts, "api_key": _KEY}
    lines += [f"{field}: {text(said)}" for field, said in texts.items() if said]
    lines += [f"weight: {account.weight:.0f}"] if account.weight != 1 else []
    lines += [f"tier: {account.tier}"] if account.tier else []
    if ANY in pool.limits:
        lines.append(f"limits: {_asked(pool.limits[ANY])}")
    named = {model: asked for model, asked in pool.limits.items() if model != ANY}
    if named:
        lines.append("model_limits:")
        lines += [f"  {text(model)}: {_asked(asked)}" for model, asked in named.items()]
    return lines


def _asked(asked: Asked) -> str:
    said = {"requests_per_minute": asked.requests, "tokens_per_minute": asked.tokens}
    return "{ " + ", ".join(f"{field}: {number}" for field, number in said.items() if number is not None) + " }"


def _models(models: Sequence[ModelDraft]) -> list[str]:
    """The public names; a long list of droppable fields is written once, and referred to."""
    lines: list[str] = []
    counted = Counter(model.droppable for model in models if len(model.droppable) >= _LONG)
    anchors: dict[tuple[str, ...], str] = {}
    for model in models:
        named = model.droppable
        if named in anchors:
            lines += _model(model, [f"    droppable: *{anchors[named]}"])
            continue
        anchor = ""
        if counted[named] > 1:
            anchors[named] = f"dropped-{len(anchors) + 1}"
            anchor = f"&{anchors[named]} "
        lines += _model(model, _droppable(named, anchor))
    return lines


def _model(model: ModelDraft, droppable: Sequence[str]) -> list[str]:
    name, mark = f"  {text(model.name)}:", f"# :{model.line}"
    fields: list[str] = []
    if len(model.targets) == 1:
        provider, _, upstream = model.targets[0].target.partition("/")
        if not (model.fallback or model.droppable):
            return [f"{name} {text(model.targets[0].target)} {mark}"]
        fields += [f"provider: {provider}", f"model: {text(upstream)}"]
    if model.fallback:
        fields.append(f"fallback: [{', '.join(text(one) for one in model.fallback)}]")
    if len(model.targets) == 1 and not model.droppable:
        return [f"{name} {{ {', '.join(fields)} }} {mark}"]
    lines = [f"{name} {mark}"]
    if len(model.targets) > 1:
        lines += ["    targets:", *(f"      - {_target(one)}" for one in model.targets)]
    lines += [f"    {field}" for field in fields]
    return [*lines, *droppable]


def _target(one: TargetDraft) -> str:
    said = [f"weight: {one.weight}"] if one.weight != 1 else []
    said += [f"tier: {one.tier}"] if one.tier else []
    return f"{{ target: {text(one.target)}, {', '.join(said)} }}" if said else text(one.target)


def _droppable(names: Sequence[str], anchor: str) -> list[str]:
    """The list, wrapped as people do, since it may be long."""
    if not names:
        return []
    body = textwrap.wrap(", ".join(names), 100, break_long_words=False, break_on_hyphens=False)
    if len(body) == 1:
        return [f"    droppable: {anchor}[{body[0]}]"]
    return [f"    droppable: {anchor}[", *(f"      {line}" for line in body), "    ]"]


def _value(value: object) -> str:
    if isinstance(value, dict):
        body = ", ".join(f"{text(str(name))}: {_value(one)}" for name, one in value.items())
        return f"{{ {body} }}" if body else "{}"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, int | float):
        return f"{value:.12g}"
    return text(str(value))


def _mark(line: int) -> str:
    return f" # :{line}" if line else ""

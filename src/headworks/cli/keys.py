"""Create, list, show, rotate and revoke virtual keys.

A virtual key is what an application calls this gateway with; provider keys never leave the gateway. It is shown once,
when it is made: only a hash of it is kept. Running workers know of every change within a second.

`keys provider` is of the other kind of key, those that this gateway calls providers with: `status` shows where each is
from and which version is in use, `rotate` has the running gateway look at all of them now. No value is ever shown.

ID is a key's id, the beginning of one, or a key's name. `-` reads a key from standard input: to learn whose it is.
"""

import argparse
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from headworks.calls import (
    CALLED,
    NO_BUDGET,
    NO_LIMITS,
    NO_TEAM,
    PRIORITIES,
    USUAL_PRIORITY,
    Caller,
    Endpoint,
    Limits,
    Team,
)
from headworks.cli import provider_keys
from headworks.cli.budget_flags import budget_flags, budget_from, budget_json, budget_shown
from headworks.cli.moments import DURATION_FORM, MOMENT_FORM, day, iso, moment, parse_duration
from headworks.cli.state import desk_of, load_project
from headworks.cli.tables import GREEN, GREY, RED, YELLOW, Cell, Table, has_colours, plain, terminal_width
from headworks.errors import CommandError

if TYPE_CHECKING:
    from headworks.access import KeyRecord, KeyStore
    from headworks.config import Project

_ID_HELP = "the key's id, the beginning of it, or its name; - reads the key itself from standard input"
_NAME_CHARACTERS = 128
_PATTERN_CHARACTERS = 256

_ENDPOINT_NAMES = {endpoint.name.lower(): endpoint for endpoint in CALLED} | {
    endpoint.value: endpoint for endpoint in CALLED
}
_LIMIT_FLAGS = {
    "rpm": "requests_per_minute",
    "tpm": "tokens_per_minute",
    "rpd": "requests_per_day",
    "tpd": "tokens_per_day",
    "itpm": "input_tokens_per_minute",
    "otpm": "output_tokens_per_minute",
}
_MOST_LIMIT = 1_000_000_000_000
_PRIORITY_HELP = f"class of its calls, 0 (served first, refused last) to {PRIORITIES - 1}"
_NETWORKS_HELP = "networks that it may be used from, as 10.0.0.0/8 or 2001:db8::/32"
_WHOSE = {"key": "", "team": " (its team's)", "default": " (the usual one)"}
_STATE_COLOURS = {"good": GREEN, "expired": YELLOW, "revoked": RED, "other secret": YELLOW}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the sub-commands and their flags."""
    commands = parser.add_subparsers(dest="action", metavar="ACTION", title="actions", required=True)

    create = _action(commands, "create", "Make a key and show it, once")
    create.add_argument("name", nargs="?", default="", type=_name, metavar="NAME", help="what to call it in lists")
    create.add_argument("--owner", default="", type=_name, help="who answers for it")
    create.add_argument("--team", default="", type=_name, help="whose keys see one another's stored responses")
    create.add_argument(
        "--models",
        default=(),
        type=_patterns,
        metavar="NAME,...",
        help="models that may be asked for; * stands for anything, as in openai/*. Default: all",
    )
    create.add_argument(
        "--endpoints",
        default=(),
        type=_endpoints,
        metavar="NAME,...",
        help=f"what may be called, of {', '.join(endpoint.name.lower() for endpoint in CALLED)}. "
        "Default: all but approvals",
    )
    create.add_argument(
        "--role",
        default="caller",
        choices=("caller", "admin", "operator", "analyst", "auditor"),
        help="a key with another role than caller opens the admin API and nothing else. Default: %(default)s",
    )
    _limit_flags(create, "Default: no limit")
    budget_flags(create, "Default: no budget")
    create.add_argument(
        "--priority", type=_priority, metavar="N", help=f"{_PRIORITY_HELP}. Default: its team's, else {USUAL_PRIORITY}"
    )
    create.add_argument(
        "--networks", default=(), type=_networks, metavar="CIDR,...", help=f"{_NETWORKS_HELP}. Default: from anywhere"
    )
    create.add_argument("--expires", type=_future, metavar="WHEN", help=f"{MOMENT_FORM}. Default: never")

    listing = _action(commands, "list", "List the keys that are good")
    listing.add_argument("--all", action="store_true", help="also those that were revoked or have expired")

    show = _action(commands, "show", "Show what is known of a key")
    show.add_argument("id", metavar="ID", help=_ID_HELP)

    limit = _action(
        commands,
        "limit",
        "Change how much a key may ask for and spend, its priority, and from where; what is not named stays",
    )
    limit.add_argument("id", metavar="ID", help=_ID_HELP)
    _limit_flags(limit, "none: no limit")
    budget_flags(limit, "none: no budget")
    limit.add_argument("--priority", type=_priority_or_none, metavar="N", help=f"{_PRIORITY_HELP}. none: its team's")

    limit.add_argument("--networks", type=_networks, metavar="CIDR,...", help=f"{_NETWORKS_HELP}. none: from anywhere")

    revoke = _action(commands, "revoke", "Make a key useless, at once and for good")
    revoke.add_argument("id", metavar="ID", help=_ID_HELP)

    rotate = _action(commands, "rotate", "Make a new key with the same grant; the old one expires")
    rotate.add_argument("id", metavar="ID", help=_ID_HELP)
    rotate.add_argument(
        "--overlap",
        type=parse_duration,
        default=3600.0,
        metavar="DURATION",
        help=f"how long the old key stays good, {DURATION_FORM}; 0s for not at all. Default: 1h",
    )
    rotate.add_argument(
        "--expires", type=_future, metavar="WHEN", help="when the new key does. Default: as the old one"
    )

    provider_keys.arguments(commands)


def run(options: argparse.Namespace) -> int:
    """Do it; returns the exit code."""
    if options.action == "provider":
        return provider_keys.run(options)
    # Loaded here, and not for `headworks keys --help`.
    from headworks.access import KEYS_FILE, KeyStore, server_secret

    project = load_project(options.config, "keys")
    secret = server_secret(project.config.access.secret, project.folder, os.environ)
    store = KeyStore.below(project.storage, KEYS_FILE)
    try:
        return _Keys(store, secret, project, options).do()
    finally:
        store.close()


class _Keys:
    """One run of the command."""

    def __init__(self, store: "KeyStore", secret: bytes, project: "Project", options: argparse.Namespace) -> None:
        from headworks.access import secret_id

        self._store = store
        self._secret = secret
        self._secret_id = secret_id(secret)
        self._project = project
        self._options = options
        self._now = time.time()
        self._desk = desk_of(project, "keys")

    def do(self) -> int:
        match self._options.action:
            case "create":
                self._create()
            case "list":
                self._list()
            case "show":
                self._show(self._find())
            case "revoke":
                self._revoke()
            case "limit":
                self._limit()
            case _:
                self._rotate()
        return 0

    def _create(self) -> None:
        from headworks.access import Role
        from headworks.admin.keys import NewKey, make_key

        options = self._options
        self._warn_of_unknown_models(options.models)
        new = NewKey(
            name=options.name,
            owner=options.owner,
            team=options.team,
            models=options.models,
            endpoints=options.endpoints,
            expires_at=options.expires,
            limits=_limits(options, NO_LIMITS),
            priority=options.priority,
            budget=budget_from(options, NO_BUDGET),
            networks=options.networks,
            role=Role(options.role),
        )
        record, key = make_key(self._desk, new)
        self._show_once(record, key)
        if self._project.config.access.mode == "open":
            _note("access.mode is `open`: nobody is asked for a key yet")

    def _list(self) -> None:
        records = self._store.list()
        shown = [record for record in records if self._options.all or self._state(record) == "good"]
        if self._options.json:
            for record in shown:
                _print_json(self._as_json(record))
            return
        head = ("ID", "NAME", "OWNER", "TEAM", "MODELS", "ENDPOINTS", "PRIORITY", "CREATED", "EXPIRES", "STATE")
        if shown:
            # Of an id every character counts, and of a moment; names and lists of names can be cut.
            flexible = frozenset({1, 2, 3, 4, 5})
            table = Table(
                head, coloured=has_colours(), flexible=flexible, width=terminal_width(), spare=(6, 7, 5, 2, 4)
            )
            print("\n".join(table.lines([self._row(record) for record in shown])))
        hidden = len(records) - len(shown)
        if hidden:
            _note(f"{hidden} more {'is' if hidden == 1 else 'are'} not good any more: headworks keys list --all")
        elif not shown:
            _note("there are no keys yet: headworks keys create NAME")

    def _show(self, record: "KeyRecord", key: str = "") -> None:
        from headworks.admin.keys import limits_text, priority_owner

        if self._options.json:
            _print_json(({"key": key} if key else {}) | self._as_json(record))
            return
        team = self._team(record)
        lines = {
            "id": record.key_id,
            "state": self._state(record),
            "name": record.name,
            "owner": record.owner,
            "team": record.team,
            "role": "" if record.role == "caller" else record.role,
            "models": ", ".join(record.models) or "all",
            "endpoints": ", ".join(record.endpoints) or "all",
            "networks": ", ".join(record.networks),
            "limits": limits_text(record.limits),
            "budget": budget_shown(record.budget),
            "priority": f"{team.priority_of(record.priority)}{_WHOSE[priority_owner(record, team)]}",
            "created": day(record.created_at),
            "expires": "never" if record.expires_at is None else day(record.expires_at),
            "revoked": "" if record.revoked_at is None else day(record.revoked_at),
            "replaces": record.replaces,
        }
        for name, value in lines.items():
            if value:
                print(f"{name:<10} {plain(value)}")

    def _revoke(self) -> None:
        from headworks.admin.keys import revoke_key

        found = self._find()
        self._refuse_half_of_a_rotation(found)
        record = revoke_key(self._desk, found.key_id)
        if self._options.json:
            _print_json(self._as_json(record))
        else:
            print(f"{record.key_id} is revoked: running workers refuse it within a second")

    def _refuse_half_of_a_rotation(self, record: "KeyRecord") -> None:
        """While a key and the one that it replaces are good, one name is both: whoever revokes it would lock out who
        has changed over, and leave the old key, which may be the one that has leaked, as it is."""
        before = next((one for one in self._store.list() if one.key_id == record.replaces), None)
        if self._options.id != record.name or before is None or not before.is_good(self._now):
            return
        until = "" if before.expires_at is None else f" and is good until {day(before.expires_at)} UTC"
        raise CommandError(
            f"{record.name!r} is two good keys: {record.key_id}, and {before.key_id}, which it replaces{until}; "
            "say which one by its id"
        )

    def _limit(self) -> None:
        from headworks.access import Change
        from headworks.admin.keys import change_key

        old, options = self._find(), self._options
        priority: int | msgspec.UnsetType | None = msgspec.UNSET
        if options.priority is not None:
            priority = None if options.priority < 0 else options.priority
        budget = budget_from(options, old.budget)
        change = Change(
            limits=_limits(options, old.limits),
            budget=msgspec.UNSET if budget == old.budget else budget,
            priority=priority,
            networks=msgspec.UNSET if options.networks is None else options.networks,
        )
        self._show(change_key(self._desk, old.key_id, change))

    def _rotate(self) -> None:
        from headworks.admin.keys import rotate_key

        options = self._options
        old = self._find()
        record, key, ends_at = rotate_key(self._desk, old.key_id, overlap_s=options.overlap, expires_at=options.expires)
        self._show_once(record, key)
        if not options.json:
            until = f"is good until {day(ends_at)} UTC" if ends_at > time.time() else "is no longer good"
            print(f"The old key, {old.key_id}, {until}.")

    def _show_once(self, record: "KeyRecord", key: str) -> None:
        if self._options.json:
            self._show(record, key)
            return
        print(key)
        print()
        self._show(record)
        print()
        goes = "where a provider's key went: api_key=..."
        if record.role.value != "caller":
            goes = "to the admin API, as `Authorization: Bearer ...`, and calls no models"
        print(f"This is the only time that the key is shown. It goes {goes}")

    def _find(self) -> "KeyRecord":
        text = self._options.id
        if text == "-":
            text = sys.stdin.readline().strip()
        if text.startswith("hw-"):
            return self._store.identify(text, self._secret)
        return self._store.find(text, now=self._now)

    def _team(self, record: "KeyRecord") -> Team:
        return self._project.config.access.teams.get(record.team, NO_TEAM)

    def _state(self, record: "KeyRecord") -> str:
        from headworks.admin.keys import key_state

        return key_state(record, now=self._now, under=self._secret_id)

    def _row(self, record: "KeyRecord") -> list[Cell]:
        state = self._state(record)
        return [
            Cell(record.key_id),
            Cell(record.name or "-"),
            Cell(record.owner or "-"),
            Cell(record.team or "-"),
            Cell(",".join(record.models) or "all", 0 if record.models else GREY),
            Cell(",".join(record.endpoints) or "all", 0 if record.endpoints else GREY),
            Cell(str(self._team(record).priority_of(record.priority)), GREY if record.priority is None else 0),
            Cell(day(record.created_at)),
            Cell("never" if record.expires_at is None else day(record.expires_at)),
            Cell(state, _STATE_COLOURS[state]),
        ]

    def _as_json(self, record: "KeyRecord") -> dict[str, object]:
        from headworks.admin.keys import priority_owner

        team = self._team(record)
        return {
            "key_id": record.key_id,
            "state": self._state(record),
            "name": record.name,
            "owner": record.owner,
            "team": record.team,
            "role": record.role,
            "models": record.models,
            "endpoints": record.endpoints,
            "networks": record.networks,
            "limits": msgspec.structs.asdict(record.limits),
            "budget": budget_json(record.budget),
            "priority": team.priority_of(record.priority),
            "priority_of": priority_owner(record, team),
            "created_at": iso(record.created_at),
            "expires_at": iso(record.expires_at),
            "revoked_at": iso(record.revoked_at),
            "replaces": record.replaces,
        }

    def _warn_of_unknown_models(self, patterns: tuple[str, ...]) -> None:
        """A misspelt scope is a key that does not work: say so while it can still be mended."""
        import difflib

        from headworks.access import Grant

        config = self._project.config
        if not config.providers:
            return  # the file has problems, which have been told: its names are not known
        names = [
            *config.models,
            *(f"{name}/{model}" for name, one in config.providers.items() for model in one.models or ()),
        ]
        for pattern in patterns:
            grant = Grant(Caller(), models=(pattern,))
            provider = pattern.partition("/")[0]
            is_open = "/" in pattern and provider in config.providers and config.providers[provider].models is None
            if is_open or any(grant.may_use(name) for name in names) or "*" in provider:
                continue
            near = difflib.get_close_matches(pattern, [*names, *(f"{name}/*" for name in config.providers)], n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            _note(f"no configured model is named {pattern}{hint}")


def _action(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, summary: str
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=summary, description=f"{summary}.")
    parser.add_argument(
        "--config", type=Path, default=Path("headworks.yaml"), metavar="FILE", help="default: %(default)s"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a line instead of text")
    return parser


def _limit_flags(parser: argparse.ArgumentParser, default: str) -> None:
    for flag, name in _LIMIT_FLAGS.items():
        what, _, window = name.partition("_per_")
        shown = f"{what} in {'a minute' if window == 'minute' else '24 hours'}"
        parser.add_argument(f"--{flag}", type=_limit, metavar="N", help=f"most {shown}. {default}")


def _limit(text: str) -> int:
    """A limit; 0 stands for none."""
    if text == "none":
        return 0
    digits = text.replace("_", "").replace(",", "")
    if not digits.isascii() or not digits.isdigit() or not 0 < int(digits) <= _MOST_LIMIT:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 to {_MOST_LIMIT:,}, or none")
    return int(digits)


def _priority(text: str) -> int:
    if text not in map(str, range(PRIORITIES)):
        raise argparse.ArgumentTypeError(f"expected a whole number from 0 to {PRIORITIES - 1}")
    return int(text)


def _priority_or_none(text: str) -> int:
    """A priority; -1 stands for none."""
    return -1 if text == "none" else _priority(text)


def _limits(options: argparse.Namespace, before: Limits) -> Limits:
    given = {name: getattr(options, flag) for flag, name in _LIMIT_FLAGS.items() if getattr(options, flag) is not None}
    return msgspec.structs.replace(before, **{name: value or None for name, value in given.items()})


def _name(text: str) -> str:
    if len(text) > _NAME_CHARACTERS or not text.isprintable():
        raise argparse.ArgumentTypeError(f"a name has at most {_NAME_CHARACTERS} printable characters")
    return text


def _patterns(text: str) -> tuple[str, ...]:
    patterns = tuple(part.strip() for part in text.split(","))
    for pattern in patterns:
        if not pattern or len(pattern) > _PATTERN_CHARACTERS or not pattern.isprintable() or " " in pattern:
            raise argparse.ArgumentTypeError(f"{pattern!r} is not a model name or pattern")
    return patterns


def _endpoints(text: str) -> tuple[Endpoint, ...]:
    names = [part.strip() for part in text.split(",")]
    unknown = [name for name in names if name not in _ENDPOINT_NAMES]
    if unknown:
        known = ", ".join(endpoint.name.lower() for endpoint in CALLED)
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is not an endpoint; there are {known}")
    return tuple(dict.fromkeys(_ENDPOINT_NAMES[name] for name in names))


def _networks(text: str) -> tuple[str, ...]:
    """Networks; none for anywhere."""
    from headworks.access import parse_network

    if text == "none":
        return ()
    try:
        return tuple(dict.fromkeys(str(parse_network(part.strip())) for part in text.split(",")))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _future(text: str) -> float:
    at = moment(text, now=time.time, sign=1)
    if at <= time.time():
        raise argparse.ArgumentTypeError(f"{text} has passed already")
    return at


def _note(text: str) -> None:
    print(f"headworks keys: {plain(text)}", file=sys.stderr)


def _print_json(value: dict[str, object]) -> None:
    print(msgspec.json.encode(value).decode())

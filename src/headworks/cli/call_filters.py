"""What `headworks calls` can be asked to look for: its filters as flags, and as a selection."""

import argparse
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from headworks.calls import CALLED, Outcome, Verdict
from headworks.cli.moments import MOMENT_FORM, past
from headworks.errors import CommandError

if TYPE_CHECKING:
    from headworks.config import Project
    from headworks.records import Selection

_ENDPOINTS = {endpoint.name.lower(): endpoint.value for endpoint in CALLED} | {
    endpoint.value: endpoint.value for endpoint in CALLED
}
_OUTCOMES: tuple[str, ...] = get_args(Outcome)
_VERDICTS: tuple[str, ...] = tuple(verdict for verdict in get_args(Verdict) if verdict)
_FAILURES = ("refused", "failed", "lost")
_SHOWN = 20


def selection_of(project: "Project", options: argparse.Namespace) -> "Selection":
    """Which calls the flags select.

    Raises:
        CommandError: they name a key that there is not.
    """
    from headworks.records import Selection

    outcomes = options.outcome
    if options.errors:
        outcomes = tuple(dict.fromkeys((*outcomes, *_FAILURES)))
    return Selection(
        since_us=microseconds(options.since),
        until_us=microseconds(options.until),
        key_id=_key_id(project, options.key),
        owner=options.owner,
        team=options.team,
        user=options.user,
        endpoint=options.endpoint or "",
        model=options.model,
        provider=options.provider,
        statuses=options.status,
        outcomes=outcomes,
        error_code=options.error,
        response_id=options.response,
        min_tokens=options.min_tokens,
        workload=options.workload,
        prompt_version=options.prompt_version,
        verdicts=options.verdict,
        is_newest_first=options.order == "newest",
        limit=options.limit,
    )


def _key_id(project: "Project", text: str) -> str:
    """A key's id from what the user wrote: an id, the beginning of one, a name."""
    from headworks.access import KEYS_FILE, KeyStore

    if not text:
        return ""
    if not (project.storage / KEYS_FILE).exists():
        raise CommandError(f"there is no key {text!r}: no key has been made here")
    store = KeyStore.below(project.storage, KEYS_FILE)
    try:
        return store.find(text, now=time.time()).key_id
    finally:
        store.close()


def list_arguments(parser: argparse.ArgumentParser, *, has_defaults: bool) -> None:
    """Declare the filters of a list.

    Arguments:
        has_defaults: the flags have values when they are not given. Those of an action have none where the command
            takes the same flags before it: they would undo what was said there.
    """

    def add(flag: str, default: object, text: str, **details: Any) -> None:
        if has_defaults:
            details["default"] = default
        parser.add_argument(flag, help=text, **details)

    time_arguments(parser, has_defaults=has_defaults)
    add("--key", "", "of this key: id, the beginning of one, or name", metavar="ID")
    add("--owner", "", "of keys of this owner")
    add("--team", "", "of keys of this team")
    add("--user", "", "with this `user` (or `safety_identifier`) in the request")
    add(
        "--endpoint",
        None,
        f"of {', '.join(endpoint.name.lower() for endpoint in CALLED)}",
        type=_endpoint,
        metavar="NAME",
    )
    add("--model", "", "asked for, resolved or served; * stands for anything", metavar="NAME")
    add("--provider", "", "sent to this provider", metavar="NAME")
    add("--status", None, "HTTP status: 429, 5xx or 400-499", type=_statuses, metavar="STATUS")
    add("--outcome", (), f"of {', '.join(_OUTCOMES)}", type=_outcomes, metavar="NAME,...")
    add("--errors", False, f"short for --outcome {','.join(_FAILURES)}", action="store_true")
    add("--error", "", "with this error code", metavar="CODE")
    add("--response", "", "that made or asked for this response", metavar="ID")
    add("--min-tokens", 0, "with at least so many tokens, input and output together", type=count, metavar="N")
    add("--workload", "", "of this workload", metavar="NAME")
    add("--prompt-version", "", "made with this version of the prompt", metavar="VERSION")
    add("--verdict", (), f"whose output was judged {', '.join(_VERDICTS)}", type=_verdicts, metavar="NAME,...")
    add("--limit", _SHOWN, f"at most so many. Default: {_SHOWN}", type=count, metavar="N")
    add("--order", "newest", "what comes first. Default: newest", choices=("newest", "oldest"))
    add("--follow", False, "go on with calls as they end, until Ctrl-C", action="store_true")
    common_arguments(parser, has_defaults=has_defaults)


_TIMES = (("--since", "opened then or later"), ("--until", "opened before then"))


def time_arguments(
    parser: argparse.ArgumentParser, *, has_defaults: bool, flags: tuple[tuple[str, str], ...] = _TIMES
) -> None:
    """Declare `--since` and `--until`, or other flags that take a time in the past, each with its help."""
    defaults: dict[str, Any] = {"default": None} if has_defaults else {}
    for flag, text in flags:
        parser.add_argument(flag, type=past, metavar="WHEN", help=f"{text}: {MOMENT_FORM}", **defaults)


def common_arguments(parser: argparse.ArgumentParser, *, has_defaults: bool) -> None:
    """Declare `--config` and `--json`."""
    config: dict[str, Any] = {"default": Path("headworks.yaml")} if has_defaults else {}
    as_lines: dict[str, Any] = {"default": False} if has_defaults else {}
    parser.add_argument("--config", type=Path, metavar="FILE", help="default: headworks.yaml", **config)
    parser.add_argument("--json", action="store_true", help="print one JSON object a line instead of text", **as_lines)


def microseconds(seconds: float | None) -> int | None:
    """From seconds; None stays None."""
    return None if seconds is None else round(seconds * 1e6)


def count(text: str) -> int:
    """A whole number. Raises `argparse.ArgumentTypeError` for anything else."""
    if not re.fullmatch(r"[0-9]{1,12}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)


def _endpoint(text: str) -> str:
    if text not in _ENDPOINTS:
        known = ", ".join(endpoint.name.lower() for endpoint in CALLED)
        raise argparse.ArgumentTypeError(f"{text!r} is not an endpoint; there are {known}")
    return _ENDPOINTS[text]


def _outcomes(text: str) -> tuple[str, ...]:
    return words(text, _OUTCOMES, "an outcome")


def _verdicts(text: str) -> tuple[str, ...]:
    return words(text, _VERDICTS, "a verdict")


def words(text: str, known: tuple[str, ...], what: str) -> tuple[str, ...]:
    """Some of the known words, divided by commas. Raises `argparse.ArgumentTypeError` for others."""
    words = tuple(dict.fromkeys(part.strip() for part in text.split(",")))
    unknown = [word for word in words if word not in known]
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is not {what}; there are {', '.join(known)}")
    return words


def _statuses(text: str) -> tuple[int, int]:
    """The lowest and the highest status of `429`, `5xx` or `400-499`."""
    if re.fullmatch(r"[0-9]{3}", text):
        return int(text), int(text)
    if re.fullmatch(r"[1-5]xx", text):
        return int(text[0]) * 100, int(text[0]) * 100 + 99
    match = re.fullmatch(r"([0-9]{3})-([0-9]{3})", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a status such as 429, 5xx or 400-499")
    return int(match[1]), int(match[2])

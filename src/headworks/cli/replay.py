"""Print, verify or send again what a past call was.

--recorded prints the answer that was given, byte by byte; of a call whose answer was not passed on, what the model had
said last. --verify renders the prompt again from what was kept and compares hashes; nothing is sent. --resend sends the
same request again, to the model that answered it, and shows what is different; --model and --prompt-version change one
thing about it. What is sent again is recorded and paid for as any other call; it is sent as a plain call, so the
workload's schema and rules do not judge it.

All of them need content: `retention.content: full` in the workload's contract, or `records.bodies` in headworks.yaml.
Exit code 1: --verify has found a difference, or it cannot be done.
"""

import argparse
import hashlib
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from headworks.cli.lines import json_line, note
from headworks.cli.parsing import UsageError
from headworks.cli.tables import GREEN, RED, has_colours, plain
from headworks.errors import CommandError, Refusal

if TYPE_CHECKING:
    from headworks.config import Project
    from headworks.prompts import Prompt
    from headworks.records import ContentKind, Record
    from headworks.records.answers import Answer

_FENCE = re.compile(r"<data-([0-9a-z]{8,64})>")
_ANY_MARKER = "0replay0replay00"
_NOT_SENT_AGAIN = ("stream", "stream_options", "background", "prompt")
_PATHS = {"responses": "/responses", "chat.completions": "/chat/completions"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of `headworks replay`."""
    parser.add_argument("call", metavar="CALL_ID", help="the beginning is enough if it is unique")
    modes = parser.add_mutually_exclusive_group()
    modes.add_argument("--recorded", action="store_true", help="print the recorded answer, its bytes exactly")
    modes.add_argument("--verify", action="store_true", help="render the prompt again and compare hashes; no call")
    modes.add_argument("--resend", action="store_true", help="send the request again and compare the answers")
    parser.add_argument("--model", metavar="MODEL", help="send it again, to this model or rung (`flagship`)")
    parser.add_argument("--prompt-version", metavar="VERSION", help="send it again, with this version of the prompt")
    parser.add_argument(
        "--config", type=Path, default=Path("headworks.yaml"), metavar="FILE", help="default: %(default)s"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")


def run(options: argparse.Namespace) -> int:
    """Do it; returns the exit code."""
    from headworks.cli.call_show import kept_content
    from headworks.config import load, store_url
    from headworks.records import catch_up, find_call, may_have_records, open_store

    resends = bool(options.resend or options.model or options.prompt_version)
    if not resends and not options.recorded and not options.verify:
        raise UsageError("say how: --recorded, --verify, --resend, --model MODEL or --prompt-version VERSION")
    if (options.recorded or options.verify) and resends:
        raise UsageError("--model and --prompt-version send a request; --recorded and --verify do not")
    project = load(options.config)
    url = store_url(project)
    if not may_have_records(project.storage, url):
        raise CommandError(f"nothing is recorded yet: there is no {project.storage}")
    catch_up(project.storage, url, report=lambda text: note(text, "replay"))
    store = open_store(project.storage, url)
    try:
        record = find_call(store, options.call)
        content = kept_content(store, project, record)
    finally:
        store.close()
    if not content:
        raise CommandError(
            f"no content is kept of {record.call_id}: `retention.content: full` in the workload's contract, or "
            "`records.bodies` in headworks.yaml, has it kept"
        )
    if options.recorded:
        if "response" not in content:
            raise CommandError(f"no answer is kept of {record.call_id}: it ended before there was one")
        sys.stdout.buffer.write(content.get("response", b""))
        sys.stdout.buffer.flush()
        return 0
    if options.verify:
        return _verify(project, record, content, is_json=options.json)
    return _resend(project, record, content, options)


# -- what was kept ----------------------------------------------------------------------------------------------------


class _Kept:
    """The request of a call as it went up: its fields, and the messages among them."""

    def __init__(self, record: "Record", content: "Mapping[ContentKind, bytes]") -> None:
        from headworks.calls import Endpoint

        if record.endpoint not in _PATHS:
            raise CommandError(f"{record.call_id} was a call of {record.endpoint}; only conversations are replayed")
        try:
            self.fields = msgspec.json.decode(content.get("request", b""), type=dict[str, msgspec.Raw])
            self.values = msgspec.json.decode(content.get("values", b"") or b"{}", type=dict[str, object])
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise CommandError(f"the request that is kept of {record.call_id} is no JSON object") from None
        self.endpoint: Endpoint = Endpoint(record.endpoint)

    def items(self) -> list[msgspec.Raw]:
        """The conversation that went up."""
        from headworks.composing import caller_items

        try:
            return caller_items(self.fields, self.endpoint)
        except Refusal as error:
            raise CommandError(error.message) from None

    def rendered(self, prompt: "Prompt", marker: str) -> tuple[list[msgspec.Raw], int]:
        """The messages that the prompt makes of the kept values, and how many stand before the caller's."""
        from headworks.composing import PromptMessage, caller_items, place_messages

        try:
            rendered = prompt.render(self.values, marker=marker)
        except Refusal as error:
            raise CommandError(f"the kept values do not fit version {prompt.version}: {error.message}") from None
        messages = [PromptMessage(message.role, message.text) for message in rendered.messages]
        return caller_items(place_messages({}, self.endpoint, messages, 0, ()), self.endpoint), rendered.input_at

    def with_prompt(self, old: "Prompt", new: "Prompt") -> None:
        """Put another version's messages in the place of the old one's."""
        items = self.items()
        before, input_at = self.rendered(old, _ANY_MARKER)
        theirs = items[input_at : len(items) - (len(before) - input_at)]
        after, input_at = self.rendered(new, _marker_of(items) or _ANY_MARKER)
        name = "input" if self.endpoint.value == "responses" else "messages"
        made = [*after[:input_at], *theirs, *after[input_at:]]
        self.fields = {**self.fields, name: msgspec.Raw(msgspec.json.encode(made))}


def _markers(items: Sequence[msgspec.Raw]) -> list[str]:
    return list(dict.fromkeys(_FENCE.findall("\n".join(bytes(item).decode(errors="replace") for item in items))))


def _marker_of(items: Sequence[msgspec.Raw]) -> str:
    return next(iter(_markers(items)), "")


def _prompt_of(project: "Project", workload: str, version: str, digest: str = "") -> "Prompt":
    """The prompt of a version: as it was published, what lies in the folder, or what was served, with this hash.

    Raises:
        CommandError: there is none.
    """
    from headworks.cli.prompt_release import prompt_of, published_release, registry_of
    from headworks.config import load_workloads
    from headworks.prompts import parse

    reason = f"version {version} of the prompt is not published"
    with registry_of(project) as registry:
        if registry is not None:
            try:
                return published_release(registry.resolve(workload, version)).prompt
            except CommandError as error:
                reason = str(error)
            source = registry.source_of(workload, digest)
            if source is not None:
                return parse(source, name=workload, file=f"the prompt of {workload} {version} as it was served")
    own = next((one for one in load_workloads(project) if one.name == workload and one.files.prompt is not None), None)
    if own is not None:
        prompt = prompt_of(own)
        if prompt.version == version and digest in ("", prompt.hash):
            return prompt
        if prompt.version == version:
            reason = f"prompt.md says version {version}, and is not what the call was made with; it was never published"
    raise CommandError(f"{workload}: {reason}")


# -- verify -----------------------------------------------------------------------------------------------------------


def _verify(project: "Project", record: "Record", content: "Mapping[ContentKind, bytes]", *, is_json: bool) -> int:
    if not record.prompt_version:
        raise CommandError(f"{record.call_id} was made without a prompt of ours: there is nothing to render again")
    kept = _Kept(record, content)
    prompt = _prompt_of(project, record.workload, record.prompt_version, record.prompt_hash)
    items = kept.items()
    before, again = _hashes(kept, prompt, items)
    checks = [("prompt", record.prompt_hash, prompt.hash), ("messages", before, again)]
    code = 0 if all(was == now for _, was, now in checks) else 1
    if is_json:
        shown = {name: {"recorded": was, "now": now, "is_same": was == now} for name, was, now in checks}
        print(json_line({"call_id": record.call_id, "prompt_version": record.prompt_version, "ok": not code, **shown}))
        return code
    print(f"{record.call_id}: {plain(record.workload)} {record.prompt_version}")
    for name, was, now in checks:
        is_same = was == now
        word = "the same" if is_same else f"another now: sha256:{now}"
        colour = GREEN if is_same else RED
        print(f"{name:<9} sha256:{was}  " + (f"\x1b[{colour}m{word}\x1b[0m" if has_colours() else word))
    return code


def _hashes(kept: _Kept, prompt: "Prompt", items: Sequence[msgspec.Raw]) -> tuple[str, str]:
    """Of the prompt's messages as they were sent, and as they are rendered now, with the marker that was used."""
    pairs = []
    for marker in (*_markers(items), _ANY_MARKER):
        again, input_at = kept.rendered(prompt, marker)
        behind = len(again) - input_at
        sent = [*items[:input_at], *(items[-behind:] if behind else ())]
        pairs.append((_digest(sent), _digest(again)))
    return next((pair for pair in pairs if pair[0] == pair[1]), pairs[0])


def _digest(items: Sequence[msgspec.Raw]) -> str:
    return hashlib.sha256(msgspec.json.encode([msgspec.json.decode(item) for item in items])).hexdigest()


# -- resend -----------------------------------------------------------------------------------------------------------


def _resend(
    project: "Project", record: "Record", content: "Mapping[ContentKind, bytes]", options: argparse.Namespace
) -> int:
    from headworks.config import model_of_rung
    from headworks.records.answers import read_answer
    from headworks.records.replay import diff_answers

    kept = _Kept(record, content)
    model = options.model or (f"{record.provider}/{record.model}" if record.provider else "")
    if options.model:  # a contract's word for a model will do
        rung = model_of_rung(project.config, options.model)
        model = options.model if rung is None else f"{rung.provider}/{rung.model}"
    if not model:
        raise CommandError(f"no model has answered {record.call_id}: name one with --model")
    _check_data(project, record, model)
    version = record.prompt_version
    if options.prompt_version:
        if not record.prompt_version:
            raise CommandError(f"{record.call_id} was made without a prompt of ours: --prompt-version means nothing")
        old = _prompt_of(project, record.workload, record.prompt_version, record.prompt_hash)
        new = _prompt_of(project, record.workload, options.prompt_version)
        kept.with_prompt(old, new)
        version = new.version
    fields = {name: raw for name, raw in kept.fields.items() if name not in _NOT_SENT_AGAIN}
    fields["model"] = msgspec.Raw(msgspec.json.encode(model))
    body, call_id = _send(options.config, _PATHS[record.endpoint], fields)
    before, after = read_answer(content.get("response", b"")), read_answer(body)
    difference = diff_answers(_as_text(before), _as_text(after))
    if options.json:
        shown = {"call_id": record.call_id, "sent_as": call_id, "model": model, "prompt_version": version}
        print(json_line({**shown, "recorded": before, "again": after, "diff": difference}))
        return 0
    was = f"recorded  {record.call_id}  {plain(f'{record.provider}/{record.model}')}  {record.prompt_version}".rstrip()
    print(was + _cut(before))
    print(f"again     {call_id}  {plain(model)}  {version}".rstrip() + _cut(after))
    print()
    print("\n".join(plain(line) for line in difference.splitlines()) or "The answers are the same.")
    return 0


def _check_data(project: "Project", record: "Record", model: str) -> None:
    """See that what a call held may go to the model that it is to be sent to.

    Raises:
        CommandError: the contract of its workload does not allow it.
    """
    from headworks.config import load_workloads
    from headworks.config.data import why_not_to

    provider, slash, name = model.partition("/")
    meant = f"{provider.partition(':')[0]}/{name}" if slash else model  # the pool is in records, and in no name
    for workload in load_workloads(project):
        if workload.name != record.workload:
            continue
        reason = why_not_to(project.config, workload.contract.data, meant)
        if reason:
            raise CommandError(f"what {record.call_id} held must not go to `{model[:80]}`: {reason}")


def _cut(answer: "Answer") -> str:
    return f"  (ended by {plain(answer.ended_by)})" if answer.ended_by else ""


def _as_text(answer: "Answer") -> str:
    """What a model said, and the tools that it called below it."""
    calls = [f"{call.name}({call.arguments})" for call in answer.tool_calls]
    return "\n".join([*([answer.text] if answer.text else []), *calls])


def _send(config: Path, path: str, fields: Mapping[str, msgspec.Raw]) -> tuple[bytes, str]:
    """The answer's bytes, and the id of the new call.

    Raises:
        CommandError: it was refused or failed; says what was answered.
    """
    import headworks

    with headworks.connect(config) as gateway, gateway.openai(max_retries=0) as client:
        import httpx2  # both come with the SDK, whose absence has been told by now
        import openai

        try:
            answer = client.post(path, cast_to=httpx2.Response, body=msgspec.json.decode(msgspec.json.encode(fields)))
        except openai.APIStatusError as error:
            raise CommandError(
                f"sent again, it was answered with status {error.status_code}: {error.message}"
            ) from None
        except openai.APIConnectionError as error:
            raise CommandError(f"sent again, it failed: {error}") from None
        return answer.content, answer.headers.get("x-headworks-call-id", "")

"""`headworks prompts diff`, `bump`, `publish` and `rollback`: from one version to another."""

import argparse
import difflib
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from headworks.cli.lines import json_line, note
from headworks.cli.lock_file import replace_file, write_lock
from headworks.cli.prompt_gate import Candidate, Gate, keep_reason, pass_gate, said_of, with_release
from headworks.cli.prompt_release import (
    companions_of,
    folder_release,
    golden_variables,
    named_from_here,
    published,
    published_release,
    release_digest,
    schema_digest,
    step_to,
)
from headworks.cli.state import tell_audit
from headworks.cli.tables import GREEN, RED, has_colours, plain
from headworks.cli.workloads import find_workload
from headworks.compiled import read_file
from headworks.config import LOCK_FILE, Lock, Locked, model_of_rung, read_lock, store_url
from headworks.errors import CommandError, HeadworksError, StorageError
from headworks.prompts import (
    Level,
    PromptRegistry,
    Publication,
    Release,
    RequiredBump,
    Version,
    check_bump,
    release_bump,
    with_version,
)

if TYPE_CHECKING:
    from headworks.config import Project, Workload

_LEVELS: tuple[Level, ...] = ("none", "patch", "minor", "major")
_CYAN = 36
_RELOAD = "Running gateways take it over when they reload: kill -HUP the process of `headworks serve`."


def run(project: "Project", registry: PromptRegistry | None, options: argparse.Namespace) -> int:
    """Do it; returns the exit code."""
    if options.action == "rollback":
        _rollback(project, registry, options)
        return 0
    workload = find_workload(project, options.workload)
    if options.action == "diff":
        _diff(workload, registry, options)
    elif options.action == "bump":
        _bump(workload, registry, options)
    else:
        assert registry is not None, "it is made for this"
        _publish(project, workload, registry, options)
    return 0


# -- diff -------------------------------------------------------------------------------------------------------------


class _Side(msgspec.Struct, frozen=True):
    """One of two versions: what it is called, the text of its prompt.md, and what it amounts to."""

    name: str
    source: str
    release: Release


def _diff(workload: "Workload", registry: PromptRegistry | None, options: argparse.Namespace) -> None:
    with named_from_here(workload):
        old = _side(workload, registry, options.old or "active")
        new = _side(workload, registry, options.new or "folder")
        required = release_bump(old.release, new.release, golden_variables(workload))
    before, after = old.release.prompt.version, new.release.prompt.version
    fault = check_bump(before, after, required)
    lines = list(
        difflib.unified_diff(old.source.splitlines(), new.source.splitlines(), old.name, new.name, lineterm="")
    )
    if options.json:
        print(
            json_line(
                {
                    "workload": workload.name,
                    "old": {"version": before, "hash": old.release.prompt.hash},
                    "new": {"version": after, "hash": new.release.prompt.hash},
                    "required": required.level,
                    "reasons": required.reasons,
                    "problem": fault,
                    "diff": "\n".join(lines),
                }
            )
        )
        return
    coloured = has_colours()
    for line in lines:
        colour = {"+": GREEN, "-": RED, "@": _CYAN}.get(line[:1], 0) if coloured else 0
        print(f"\x1b[{colour}m{plain(line)}\x1b[0m" if colour else plain(line))
    if lines:
        print()
    if required.level == "none":
        print("What callers and the model see is the same.")
        return
    print(f"This is a {required.level} step:")
    for reason in required.reasons:
        print(f"- {plain(reason)}")
    if None in (old.release.companions, new.release.companions):
        print("Schema and parameters are not compared: they were not kept with one of the versions.")
    if new.name.endswith("(folder)") and fault is not None:
        print(f"The folder's version, {after}, is too low: headworks prompts bump {workload.name}")


def _side(workload: "Workload", registry: PromptRegistry | None, wanted: str) -> _Side:
    if wanted == "folder":
        release = folder_release(workload)
        assert workload.files.prompt is not None, "it was read"
        source = read_file(workload.files.prompt).decode("utf-8-sig")
        return _Side(f"{workload.name} {release.prompt.version} (folder)", source, release)
    if wanted == "active":
        active = None if registry is None else registry.active(workload.name)
        if active is None:
            raise CommandError(
                f"no prompt of `{workload.name}` is active yet; `headworks prompts publish {workload.name}` makes the "
                "folder's active"
            )
        return _Side(f"{workload.name} {active.version} (active)", active.source, published_release(active))
    publication = published(registry, workload.name, wanted)
    return _Side(f"{workload.name} {publication.version}", publication.source, published_release(publication))


# -- bump -------------------------------------------------------------------------------------------------------------


def _bump(workload: "Workload", registry: PromptRegistry | None, options: argparse.Namespace) -> None:
    with named_from_here(workload):
        release = folder_release(workload)
        newest = _newest(workload, registry)
        required = (
            RequiredBump("none", ())
            if newest is None
            else release_bump(published_release(newest), release, golden_variables(workload))
        )
    there = release.prompt.version
    target, why = _target(there, newest, required, options.level)
    if target != there:
        assert workload.files.prompt is not None, "it was read"
        text = read_file(workload.files.prompt).decode()
        with named_from_here(workload):
            changed = with_version(text, release.prompt, target)
        replace_file(workload.files.prompt, changed.encode())
    if options.json:
        base = None if newest is None else newest.version
        shown = {"version": target, "was": there, "published": base, "required": required.level}
        print(json_line({"workload": workload.name, **shown, "reasons": required.reasons}))
        return
    print(f"{workload.name} {there} -> {target}: {why}" if target != there else f"{workload.name} stays {there}: {why}")
    for reason in required.reasons:
        print(f"- {plain(reason)}")


def _target(there: str, newest: Publication | None, required: RequiredBump, asked: Level | None) -> tuple[str, str]:
    """The version that the folder is to have, and why.

    Raises:
        CommandError: the level that was asked for is too low.
    """
    if newest is None:
        if asked is None:
            return there, "nothing is published yet, so that any version will do"
        return str(Version.parse(there).raised(asked)), f"a {asked} step, as asked"
    if asked is not None and _LEVELS.index(asked) < _LEVELS.index(required.level):
        raise CommandError(
            f"a {asked} step from {newest.version} is too low: a {required.level} one is needed, for "
            + "; ".join(required.reasons)
        )
    level = asked or required.level
    if check_bump(newest.version, there, RequiredBump(level, ())) is None:
        if level == "none":
            return there, f"what callers and the model see is the same as in {newest.version}, the newest published"
        return there, f"that is a {level} step from {newest.version} already"
    if level == "none":
        return newest.version, "this is what is published under that version"
    return str(Version.parse(newest.version).raised(level)), f"a {level} step from {newest.version}"


def _newest(workload: "Workload", registry: PromptRegistry | None) -> Publication | None:
    return next(reversed(registry.list(workload.name)), None) if registry is not None else None


# -- publish ----------------------------------------------------------------------------------------------------------


def _publish(project: "Project", workload: "Workload", registry: PromptRegistry, options: argparse.Namespace) -> None:
    with named_from_here(workload):
        release = folder_release(workload)
        step = step_to(workload, release, registry)
    prompt = release.prompt
    if step is not None and step.fault is not None:
        raise CommandError(f"{workload.name}: {step.fault}. `headworks prompts bump {workload.name}` raises it")
    lock = read_lock(project.folder / LOCK_FILE)
    locked = _locked(project, workload, release, lock.workloads.get(workload.name, Locked()))
    digest = release_digest(prompt.hash, release.companions)
    was = registry.active(workload.name)
    active = "" if was is None else release_digest(was.hash, was.companions)
    candidate = Candidate(workload.name, prompt.version, digest, locked.model, workload.files.golden, active)
    gate = pass_gate(project, options, candidate)
    locked = msgspec.structs.replace(locked, evidence=with_release(locked.evidence, gate))
    assert workload.files.prompt is not None, "it was read"
    source = read_file(workload.files.prompt).decode("utf-8-sig")
    is_new = all(one.version != prompt.version for one in registry.list(workload.name))
    now = time.time()
    registry.publish(workload.name, prompt.version, prompt.hash, source, now, release.companions)
    registry.activate(workload.name, prompt.version, now=now)
    keep_reason(project, candidate, gate)
    before = "" if was is None else was.version
    _tell_audit(project, "prompt.published", candidate, before, gate)
    is_written = _write_locked(project, lock, workload.name, locked)
    reasons = step.required.reasons if step is not None and is_new else ()
    if options.json:
        shown = {"version": prompt.version, "hash": prompt.hash, "is_new": is_new, "reasons": reasons}
        was_active = None if was is None else was.version
        found = None if gate.verdict is None else gate.verdict.word
        known = {"was_active": was_active, "locked": is_written, "evidence": found, "forced_because": gate.why or None}
        print(json_line({"workload": workload.name, **shown, **known}))
        return
    what = "is published and active" if is_new else "was published already; it is active"
    if was is not None and was.version == prompt.version:
        what = "is published and active already"
    elif was is not None:
        what += f", in place of {was.version}"
    print(f"{workload.name} {prompt.version} {what}")
    for reason in reasons:
        print(f"- {plain(reason)}")
    if is_written:
        print(f"Wrote {_lock_shown(project)}: commit it with the prompt.")
    said = said_of(gate, workload.name)
    if said:
        print(plain(said))
    elif (locked.evidence or {}).get("prompt_hash") != locked.prompt_hash:
        print(f"There is no evidence for this version yet: {_finding_it(workload, was)}")
    if was is None or was.version != prompt.version:
        print(_RELOAD)


def _finding_it(workload: "Workload", was: Publication | None) -> str:
    """How to come by evidence."""
    if workload.files.golden is None:
        return f"{workload.name} has no golden set to find it with."
    if was is None:
        return f"`headworks select {workload.name}` finds it."
    return f"`headworks eval compare {workload.name} --arm prompt={was.version} --arm prompt=folder` compares the two."


def _locked(project: "Project", workload: "Workload", release: Release, known: Locked) -> Locked:
    """What the lock says of the workload from now on; the evidence that is there stays."""
    is_bound = bool(known.model) and model_of_rung(project.config, known.model) is not None
    model = workload.contract.model or (known.model if is_bound else workload.contract.ladder[0])
    schema = release.companions.schema if release.companions is not None else ""
    return msgspec.structs.replace(
        known,
        prompt_version=release.prompt.version,
        prompt_hash=f"sha256:{release.prompt.hash}",
        schema_hash=schema_digest(schema),
        model=model,
        served_model=(known.served_model if model == known.model else "") or _snapshot(project, model),
    )


def _snapshot(project: "Project", model: str) -> str:
    """The snapshot that the provider has last named for a model, by the records; what is asked for where none is."""
    from headworks.records import Selection, has_store, open_store

    bound = model_of_rung(project.config, model)
    if bound is None:
        return ""
    url = store_url(project)
    if has_store(project.storage, url):
        store = open_store(project.storage, url)
        try:
            wanted = Selection(provider=bound.provider, model=bound.model, outcomes=("answered",), limit=1)
            newest = store.select(wanted)
        finally:
            store.close()
        if newest and newest[0].model == bound.model and newest[0].served_model:
            return newest[0].served_model
    return bound.model


def _write_locked(project: "Project", lock: Lock, name: str, locked: Locked) -> bool:
    """Put the workload's entry into headworks.lock; whether the file changed.

    Raises:
        CommandError: it cannot be written; the prompt is active all the same, and the message says so.
    """
    try:
        return write_lock(project, lock, name, locked)
    except CommandError as error:
        raise CommandError(f"{name} {locked.prompt_version} is active, but the lock does not say so: {error}") from None


def _lock_shown(project: "Project") -> Path:
    return project.file.parent / LOCK_FILE


# -- rollback ---------------------------------------------------------------------------------------------------------


def _rollback(project: "Project", registry: PromptRegistry | None, options: argparse.Namespace) -> None:
    name = options.workload
    was = None if registry is None else registry.active(name)
    if registry is None or was is None:
        raise CommandError(f"no prompt of `{plain(name)}` is published; `headworks prompts list` names those that are")
    target = registry.resolve(name, options.version) if options.version else registry.previous(name)
    if target is None:
        versions = ", ".join(one.version for one in registry.list(name))
        raise CommandError(f"{name} {was.version} has no version before it to go back to; published: {versions}")
    candidate = Candidate(name, target.version, release_digest(target.hash, target.companions))
    try:
        gate = pass_gate(project, options, candidate)
    except StorageError as error:
        note(str(error), "prompts")  # going back works while what is known of versions cannot be read
        gate = Gate()
    registry.activate(name, target.version, now=time.time())
    keep_reason(project, candidate, gate)
    _tell_audit(project, "prompt.rolled_back", candidate, was.version, gate)
    is_written = _lock_again(project, target, gate)
    if options.json:
        shown = {"version": target.version, "hash": target.hash, "was_active": was.version, "locked": is_written}
        print(json_line({"workload": name, **shown}))
        return
    if was.version == target.version:
        print(f"{name} {target.version} is active already")
        return
    print(f"{name} {target.version} is active, in place of {was.version}")
    said = said_of(gate, name)
    if said:
        print(plain(said))
    if is_written:
        print(f"Wrote {_lock_shown(project)}: commit it.")
    changes = _left_behind(project, target)
    if changes and target.companions is None:
        print("What was sent beside it when it was published is not known: schema and parameters stay the folder's.")
    elif changes:
        print("Its schema and parameters come with it; the folder's are others:")
        for reason in changes:
            print(f"- {plain(reason)}")
    print(_RELOAD)


def _tell_audit(project: "Project", action: str, candidate: Candidate, before: str, gate: Gate) -> None:
    detail: dict[str, str | int] = {"version": candidate.version, "before": before, "workload": candidate.workload}
    forced: dict[str, str | int] = {"is_forced": 1} if gate.why else {}
    tell_audit(project, "prompts", action, candidate.workload, detail | forced)


def _left_behind(project: "Project", target: Publication) -> tuple[str, ...]:
    """How what the folder sends differs from what was published beside a version; empty where that cannot be told."""
    try:
        workload = find_workload(project, target.workload)
        release = published_release(target)
        if release.companions is None:
            return ("unknown",)
        return release_bump(release, Release(release.prompt, companions_of(workload)), []).reasons
    except HeadworksError:
        return ()  # going back works while the files do not


def _lock_again(project: "Project", target: Publication, gate: Gate) -> bool:
    """Have the lock name what is active now. A lock that cannot be read or written keeps nobody from going back."""
    try:
        lock = read_lock(project.folder / LOCK_FILE)
        known = lock.workloads.get(target.workload)
        if known is None:
            return False
        locked = msgspec.structs.replace(known, prompt_version=target.version, prompt_hash=f"sha256:{target.hash}")
        locked = msgspec.structs.replace(locked, evidence=with_release(locked.evidence, gate))
        if target.companions is not None:
            locked = msgspec.structs.replace(locked, schema_hash=schema_digest(target.companions.schema))
        return _write_locked(project, lock, target.workload, locked)
    except HeadworksError as error:
        note(str(error), "prompts")
        return False

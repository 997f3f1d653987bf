"""Keys of a provider in an assembly: several of one project, those of pools, and what shows none of them."""

import copy
import pickle
import threading

import msgspec
import pytest

import headworks
from headworks.config import load
from headworks.errors import ConfigError
from headworks.provider_plans import key_blocks, provider_plan
from headworks.secrets import KnownKeys, look_at_keys
from headworks.settings import read_settings

PLANTED = [f"sk-planted-{number}-4711" for number in range(4)]

CONFIG = """
version: 1
providers:
  up:
    kind: openai-compatible
    base_url: http://127.0.0.1:9/v1
    api_key: file:newest
    older_api_keys: [file:older, env:OLDEST]
    headers: {x-tenant-key: file:newest}
    pools: {a: {}, b: {api_key: env:OF_B}}
"""


@pytest.fixture
def project(tmp_path):
    (tmp_path / "headworks.yaml").write_text(CONFIG)
    (tmp_path / "newest").write_text(PLANTED[0])
    (tmp_path / "older").write_text(PLANTED[1])
    return load(tmp_path)


ENVIRONMENT = {"OLDEST": PLANTED[2], "OF_B": PLANTED[3]}


def keys_of(settings):
    return {pool.name: [one.api_key for one in (pool.settings, *pool.spares)] for pool in settings.providers[0].pools}


def test_a_project_has_several_keys_and_the_newest_is_preferred(project):
    settings = read_settings(project, ENVIRONMENT)

    assert keys_of(settings) == {"a": PLANTED[:3], "b": [PLANTED[3]]}


def test_a_version_that_was_replaced_comes_before_the_older_keys_that_are_named(project):
    kept = look_at_keys(project, ENVIRONMENT)
    (project.folder / "newest").write_text("sk-brand-new")
    kept = look_at_keys(project, ENVIRONMENT, kept)

    settings = read_settings(project, ENVIRONMENT, kept)

    assert keys_of(settings)["a"] == ["sk-brand-new", *PLANTED[:3]]


def test_a_key_that_cannot_be_had_is_named_with_its_place(project):
    (project.folder / "older").unlink()
    kept = look_at_keys(project, ENVIRONMENT)

    with pytest.raises(ConfigError, match=r"providers\.up\.older_api_keys: file:older cannot be read"):
        read_settings(project, ENVIRONMENT, kept)


def test_who_serves_never_asks_a_manager(project):
    (project.folder / "headworks.yaml").write_text(CONFIG.replace("file:older", "vault:secret/older#key"))
    project = load(project.folder)

    with pytest.raises(ConfigError, match="vault:secret/older#key is not known here yet"):
        read_settings(project, ENVIRONMENT, {}, asks=False)


@pytest.mark.parametrize("leak", [pickle.dumps, copy.deepcopy])
def test_settings_neither_show_nor_give_away_a_key(project, leak):
    settings = read_settings(project, ENVIRONMENT)
    plan = settings.providers[0]

    shown = [repr(settings), str(settings), f"{settings}", repr(plan), repr(plan.pools), repr(plan.settings)]

    assert not any(key in text for key in PLANTED for text in shown)
    for holder in (settings, plan.settings):
        with pytest.raises(TypeError) as raised:
            leak(holder)
        assert not any(key in str(raised.value) for key in PLANTED)


def test_a_gateway_in_this_process_takes_a_new_key_without_being_connected_again(project, monkeypatch):
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    taken = threading.Event()
    with headworks.connect(project.file) as gateway:
        rekey = gateway._assembly.rekey
        monkeypatch.setattr(gateway._assembly, "rekey", lambda kept: (rekey(kept), taken.set()))
        (project.folder / "newest").write_text("sk-brand-new")
        gateway._rotator.look()

        assert taken.wait(20)
        assert b"sk-brand-new" in gateway._assembly._keyed["up:a"]._key.block


def expired(kept, name):
    return {**kept, name: msgspec.structs.replace(kept[name], is_expired=True)}


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("file:older", {"up:a": [PLANTED[0], PLANTED[2]], "up:b": [PLANTED[3]]}),
        ("file:newest", {"up:a": [], "up:b": []}),  # a header of all pools is from it, too
    ],
)
def test_what_needs_an_expired_secret_is_not_sent_and_all_else_is(project, name, left):
    kept = expired(look_at_keys(project, ENVIRONMENT), name)
    plan = provider_plan(project, "up", KnownKeys(project, ENVIRONMENT, kept))
    without = KnownKeys(project, ENVIRONMENT, kept).expired()

    blocks = {pool.settings.name: key_blocks(plan, pool, without) for pool in plan.pools}

    assert {name: [key for one in found for key in PLANTED if b"Bearer " + key.encode() in one]
            for name, found in blocks.items()} == left  # fmt: skip


def test_a_value_that_another_reference_leads_to_as_well_is_good(project):
    (project.folder / "older").write_text(PLANTED[0])
    kept = expired(look_at_keys(project, ENVIRONMENT), "file:older")

    assert KnownKeys(project, ENVIRONMENT, kept).expired() == frozenset()

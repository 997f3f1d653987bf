import shutil
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from msgspec import to_builtins

from headworks import exchange
from headworks.config import (
    Access,
    Config,
    Connections,
    Defaults,
    Model,
    Provider,
    Records,
    Server,
    Storage,
    Timeouts,
    Tls,
    json_schema,
    load,
    load_state,
    parse,
    store_url,
)
from headworks.config.document import MAX_BYTES
from headworks.config.sections.kinds import EVERYTHING
from headworks.errors import ConfigError

SIMULATOR = "providers: {sim: {kind: simulator}}\n"


def refusal(path: Path) -> str:
    with pytest.raises(ConfigError) as raised:
        load(path)
    return str(raised.value)


def test_a_project_is_loaded_by_its_file_or_its_folder(tmp_path):
    file = tmp_path / "headworks.yaml"
    file.write_text(SIMULATOR)

    by_file, by_folder = load(file), load(tmp_path)

    assert by_file.config == by_folder.config == Config(providers={"sim": Provider(kind="simulator")})
    assert by_file.file == by_folder.file == file
    assert by_file.folder == by_folder.folder == tmp_path


def test_relative_paths_start_from_the_folder_of_the_file(tmp_path, monkeypatch):
    (tmp_path / "headworks.yaml").write_text(SIMULATOR + "storage: {path: state}")
    monkeypatch.chdir(tmp_path)

    project = load(Path("headworks.yaml"))

    assert project.storage == tmp_path / "state"
    assert project.path("/etc/tls.pem") == Path("/etc/tls.pem")


def test_a_byte_order_mark_is_no_problem(tmp_path):
    (tmp_path / "headworks.yaml").write_text(SIMULATOR, encoding="utf-8-sig")

    assert "sim" in load(tmp_path).config.providers


def test_a_missing_file_names_the_way_to_make_one(tmp_path):
    file = tmp_path / "headworks.yaml"

    assert refusal(file) == f"{file}: there is no such file; `headworks init` writes a starter project"


def test_a_file_that_cannot_be_read_says_why(tmp_path):
    (tmp_path / "headworks.yaml").mkdir()

    assert refusal(tmp_path) == f"{tmp_path / 'headworks.yaml'}: cannot be read: Is a directory"


def test_a_huge_file_is_refused_unread(tmp_path):
    file = tmp_path / "headworks.yaml"
    file.write_bytes(b"#" * (MAX_BYTES + 1))

    assert refusal(file) == f"{file}: is larger than {MAX_BYTES} bytes"


def test_bytes_that_are_not_utf8_are_refused_with_their_place(tmp_path):
    file = tmp_path / "headworks.yaml"
    file.write_bytes("a: ü\nbü: \xff".encode("latin-1").replace(b"\xfc", "ü".encode()))

    assert refusal(file) == f"{file}:2:5: is not UTF-8 from here on"


def test_every_problem_carries_file_line_and_column(tmp_path):
    (tmp_path / "headworks.yaml").write_text("server:\n  port: x\n")

    with pytest.raises(ConfigError) as raised:
        load(tmp_path)

    assert [(problem.file, problem.line, problem.column) for problem in raised.value.problems] == [
        (str(tmp_path / "headworks.yaml"), 1, 1),
        (str(tmp_path / "headworks.yaml"), 2, 9),
    ]


def test_a_project_can_point_at_what_it_says_or_at_what_is_nearest(project):
    found = project("server:\n  port: 1\n" + SIMULATOR)

    assert (found.problem(("server", "port"), "x").line, found.problem(("server", "port"), "x").column) == (2, 9)
    assert (found.problem(("server", "tls", "key"), "x").line, found.problem(("access",), "x").line) == (1, 1)
    assert found.problem(("providers", "sim", "plan"), "is bad").message == "providers.sim.plan: is bad"


def test_configured_time_limits_are_what_an_attempt_takes():
    assert isinstance(Timeouts(), exchange.Timeouts)
    assert to_builtins(Timeouts()) == to_builtins(exchange.Timeouts())


seconds = st.floats(min_value=0.001, max_value=86_400)
counts = st.integers(min_value=1, max_value=100_000)
paths = st.text(st.characters(exclude_categories=("C",)), min_size=1, max_size=40)
references = st.from_regex(r"env:[A-Za-z_][A-Za-z0-9_]{0,20}", fullmatch=True) | paths.map("file:{}".format)
names = st.from_regex(r"[a-z][a-z0-9-]{0,12}", fullmatch=True)
model_names = st.from_regex(r"[a-z][a-z0-9./:-]{0,19}", fullmatch=True)  # not 08: text in YAML 1.1, 8 in 1.2
timeouts = st.builds(Timeouts, connect_s=seconds, first_byte_s=seconds, between_bytes_s=seconds, total_s=seconds)
speaks = st.lists(st.sampled_from(EVERYTHING), unique=True).map(tuple)
models = st.none() | st.lists(model_names, min_size=1, unique=True).map(tuple)
simulators = st.builds(
    Provider,
    kind=st.just("simulator"),
    speaks=speaks,
    models=models,
    timeouts=st.none() | timeouts,
    plan=st.none() | paths,
    seed=st.integers(min_value=0, max_value=10**17),
    pace=st.floats(min_value=0, max_value=1000),
)
upstreams = st.builds(
    Provider,
    kind=st.sampled_from(["openai", "openai-compatible"]),
    base_url=st.from_regex(r"https://[a-z]{1,9}\.example(:[1-9][0-9]{1,3})?(/[a-z0-9]{1,5}){0,2}", fullmatch=True),
    api_key=references,
    organization=st.none() | names,
    project=st.none() | names,
    speaks=speaks,
    models=models,
    headers=st.dictionaries(names.map("x-{}".format), names | references.filter(str.isascii), max_size=3),
    proxy=st.none() | names.map("http://{}:3128".format),
    ca_file=st.none() | paths,
    connections=st.builds(Connections, limit=counts, idle_s=seconds, max_age_s=seconds, waiting=counts),
    timeouts=st.none() | timeouts,
)


@st.composite
def configs(draw):
    providers = draw(st.dictionaries(names, simulators | upstreams, min_size=1, max_size=3))
    targets = st.sampled_from(sorted(providers)).flatmap(
        lambda name: st.builds(Model, provider=st.just(name), model=st.sampled_from(providers[name].models or ("a/b",)))
    )
    mode = draw(st.sampled_from(["keys", "open"]))
    return Config(
        server=draw(
            st.builds(
                Server,
                host=names if mode == "keys" else st.sampled_from(["127.0.0.1", "::1", "localhost"]),
                port=st.integers(0, 65_535),
                workers=st.integers(1, 256),
                tls=st.none() | st.builds(Tls, certificate=paths, key=paths),
                grace_s=st.floats(0, 100),
                header_timeout_s=seconds,
            )
        ),
        access=draw(st.builds(Access, mode=st.just(mode), secret=references)),
        storage=draw(st.builds(Storage, path=paths, segment_bytes=st.integers(65_536, 1_000_000))),
        records=draw(st.builds(Records, bodies=st.booleans())),
        providers=providers,
        models=draw(st.dictionaries(st.from_regex(r"[A-Z][a-z0-9._:@+-]{0,9}", fullmatch=True), targets, max_size=3)),
        defaults=draw(st.builds(Defaults, timeouts=timeouts)),
    )


@pytest.mark.uncounted
@given(configs())
def test_a_valid_configuration_written_as_yaml_reads_back_the_same(config):
    text = yaml.safe_dump(to_builtins(config), allow_unicode=True)

    assert parse(text, file="headworks.yaml", base=Path()).config == config


@pytest.mark.uncounted
@given(configs())
def test_the_published_schema_accepts_every_valid_configuration(config):
    jsonschema_rs = pytest.importorskip("jsonschema_rs")

    assert list(jsonschema_rs.validator_for(json_schema()).iter_errors(to_builtins(config))) == []


@given(st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["providers", "server", "models", "kind", "simulator", "speaks", "timeouts", "tls", "port"]),
        inner, max_size=4),
    max_leaves=12,
))  # fmt: skip
def test_any_yaml_is_a_configuration_or_a_list_of_problems(value):
    text = yaml.safe_dump(value, allow_unicode=True)
    try:
        parse(text, file="headworks.yaml", base=Path())
    except ConfigError as error:
        problems = error.problems
    else:
        return
    assert problems
    assert all(problem.line >= 1 and problem.column >= 1 and problem.message for problem in problems)


def test_the_example_project_and_the_starter_are_valid(tmp_path):
    root = Path(__file__).parents[2]
    shutil.copy(root / "src/headworks/cli/starter/headworks.yaml", tmp_path)

    assert load(tmp_path).config.access.mode == "keys"
    assert load(root / "examples/first-light").config.access.mode == "keys"


STATE = "storage: {path: state}\naccess: {secret: file:secret}\n"


@pytest.mark.parametrize(
    "broken", ["modelz: {}\n", "models: {a: nobody/b}\n", "models: {a: sim/x, a: sim/y}\n", "server: 5\n"]
)
def test_state_is_found_in_a_file_that_is_broken_elsewhere(tmp_path, broken):
    (tmp_path / "headworks.yaml").write_text(STATE + SIMULATOR + broken)

    project, problems = load_state(tmp_path)

    assert project.storage == tmp_path / "state"
    assert project.config.access == Access(secret="file:secret")
    assert [problem.line for problem in problems] == [4]


def test_the_database_of_the_records_is_found_in_a_file_that_is_broken_elsewhere(tmp_path):
    records = "records: {store: 'postgresql://u@h/db', store_password: env:PASSWORD}\n"
    (tmp_path / "headworks.yaml").write_text(records + "modelz: {}\n")

    project, problems = load_state(tmp_path)

    assert store_url(project, {"PASSWORD": "p&w"}) == "postgresql://u@h/db?password=p%26w"
    assert problems


def test_the_state_of_a_good_file_is_the_whole_project(tmp_path):
    (tmp_path / "headworks.yaml").write_text(STATE + SIMULATOR)

    assert load_state(tmp_path) == (load(tmp_path), ())


@pytest.mark.parametrize(
    "broken",
    [
        "storage: {path: 5}\n",
        "storage: {path: one, path: two}\n",
        "storage: {path: one}\nstorage: {path: two}\n",
        "storage: {path: !new one}\n",
        "storag: {path: one}\n",
        "acces: {secret: file:one}\n",
        "records: {store: one}\n",
        "record: {store: 'postgresql://h/db'}\n",
        "access: {secret: one}\n",
        "providers: [\n",
    ],
)
def test_what_may_say_where_state_is_must_be_good(tmp_path, broken):
    (tmp_path / "headworks.yaml").write_text(SIMULATOR + broken)

    with pytest.raises(ConfigError):
        load_state(tmp_path)

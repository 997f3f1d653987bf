"""What the source may not hold: each of these has let somebody into another gateway."""

import ast
import functools
import re
from collections import defaultdict
from pathlib import Path

from headworks.config import Server

ROOT = Path(__file__).parents[2] / "src" / "headworks"


class Source:
    """What all files call, import and write into statements: read once."""

    def __init__(self):
        self.calls = defaultdict(set)  # the name as it is written: the files
        self.imports = defaultdict(set)
        self.texts = defaultdict(set)  # f-strings and the like that are SQL: what is put into them, by file
        self.shells = set()
        for path in sorted(ROOT.rglob("*.py")):
            place = str(path.relative_to(ROOT))
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                self._take(place, node)

    def _take(self, place, node):
        match node:
            case ast.Call():
                self.calls[dotted(node.func)].add(place)
                if any(word.arg == "shell" for word in node.keywords):
                    self.shells.add(place)
            case ast.Import():
                for alias in node.names:
                    self.imports[alias.name].add(place)
            case ast.ImportFrom() if node.module is not None:
                for alias in node.names:
                    self.imports[f"{node.module}.{alias.name}"].add(place)
            case ast.JoinedStr() if _SQL.search("".join(part.value for part in node.values if _is_text(part))):
                self.texts[place] |= {ast.unparse(part.value) for part in node.values if not _is_text(part)}
            case ast.BinOp(left=ast.Constant(value=str(left)), op=ast.Mod()) if _SQL.search(left):
                self.texts[place].add(ast.unparse(node.right))


_SQL = re.compile(r"\b(?:SELECT|INSERT INTO|UPDATE|DELETE FROM|WHERE|CREATE TABLE|ALTER TABLE|DROP TABLE)\b")


def _is_text(node):
    return isinstance(node, ast.Constant)


def dotted(node):
    """`a.b.c` as it is written; what is no name is left out."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


@functools.cache
def source():
    return Source()


def places(*names):
    """The files that call one of these."""
    return set().union(*(source().calls.get(name, set()) for name in names))


def imports(*modules):
    """The files that import one of these modules, or something of it."""
    return {
        place
        for name, files in source().imports.items()
        if any(name == module or name.startswith(f"{module}.") for module in modules)
        for place in files
    }


def test_nothing_is_unpickled():
    assert imports("pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "copyreg") == set()


def test_c_is_called_for_one_setting_of_its_own_library():
    assert imports("ctypes", "cffi") == {"server/worker.py"}


def test_code_is_made_only_of_the_operators_own_rules():
    assert places("eval", "exec", "compile", "__import__") == {
        "screening/output/rules_file.py",  # a `rules.py` beside a contract, in a process of its own
    }
    assert places("spec.loader.exec_module") == {
        "evals/scorers/function_worker.py",  # a scorer of the operator's, in a process of its own
    }
    assert places("importlib.import_module") <= {
        "cli/__init__.py",  # the command that was typed, out of our own
        "screening/__init__.py",  # a module of its own, out of a table; so do the next two
        "screening/output/__init__.py",
        "simulator/__init__.py",
        "screening/privacy/detectors/custom.py",  # python-stdnum's module of an identifier that a contract names
        "screening/privacy/entities/models.py",  # the library and the model that a contract names, in their process
    }


def test_processes_are_started_only_for_the_operators_own_files():
    started = places(
        "subprocess.run", "subprocess.Popen", "subprocess.call", "subprocess.check_call", "subprocess.check_output",
        "os.system", "os.popen", "os.posix_spawn", "os.execv", "os.execve", "os.execvp", "os.execvpe", "pty.spawn",
        "asyncio.create_subprocess_exec", "asyncio.create_subprocess_shell", "loop.subprocess_exec",
    )  # fmt: skip

    assert started == {
        "cli/eval_base.py",  # git, for the commit that a change is compared with
        "evals/scorers/function_process.py",  # a scorer of the operator's, or what finds contexts
        "evals/scorers/processes.py",  # another
        "screening/output/process.py",  # rules and last answers of the operator's
        "server/fresh.py",  # our own admin API and control plane, at a start
        "screening/privacy/entities/pool.py",  # a model of the operator's that finds names
    }
    assert source().shells == set()


def test_yaml_makes_nothing_but_plain_values():
    loads = {name for name in source().calls if re.match(r"yaml\.\w*(load|compose|Loader)", name)}

    assert loads <= {"yaml.safe_load", "yaml.compose"}
    assert places("yaml.safe_load", "yaml.compose") == {
        "evals/golden/importers/promptfoo.py",  # what `headworks golden import` is given
        "simulator/plan_file.py",  # the plan of a simulator
    }


def test_every_connection_is_made_in_a_file_that_is_known_for_it():
    """On the way of a call are the first three, and they go where the configuration says."""
    made = places(
        "socket.create_connection", "loop.create_connection", "asyncio.open_connection", "loop.sock_connect",
        "asyncio.open_unix_connection", "loop.create_unix_connection", "loop.create_datagram_endpoint", "urlopen",
        "urllib.request.urlopen", "build_opener", "urllib.request.build_opener", "HTTPConnection", "HTTPSConnection",
        "http.client.HTTPConnection", "http.client.HTTPSConnection", "_Patient.connect", "psycopg.connect",
        "psycopg.Connection.connect", "smtplib.SMTP", "smtplib.SMTP_SSL",
    )  # fmt: skip

    assert made == {
        "transport/origin.py",  # upstreams
        "limits/resp.py",  # Valkey
        "limits/local.py",  # the control plane's socket file
        "postgres.py",  # the store
        "secrets/asking.py",  # secret managers, by the keeper and no worker; follows no redirect
        "console/channels.py",  # the mail server of alerts, by the control plane
        "fetching.py",  # webhooks, anchors, collectors, newer catalogues; follows none either, or from TLS to TLS
    }
    assert imports("headworks.fetching") == {
        "audit/anchors.py",
        "cli/model_update.py",
        "console/channels.py",
        "console/open_telemetry.py",
    }
    assert imports("requests", "httpx", "aiohttp", "urllib3", "ftplib", "telnetlib", "xmlrpc", "socketserver") == set()
    assert imports("httpx2") == {
        "library/clients.py",  # the official SDK's client on a transport of ours, which opens no socket
        "cli/replay.py",  # its errors
    }


def test_no_markup_and_no_archive_is_read():
    assert imports("xml", "lxml", "html.parser", "zipfile", "tarfile", "plistlib", "gzip", "bz2", "lzma") == {
        "console/open_telemetry.py",  # packs what it sends, and unpacks nothing
        "evals/rendering/junit.py",  # writes it, and reads none
    }
    unpacked = {
        name for name in source().calls if re.search(r"\b(?:un_?pack|inflate)\w*\.decompress$|zlib\.decompress", name)
    }
    assert places(*unpacked) <= {"doctoring/streams.py"}  # `headworks doctor`, what a proxy in front has packed


def test_no_statement_is_put_together_of_what_somebody_sent():
    """Into SQL go names of our own columns and conditions; a value, which is bound, would be an attribute, an item."""
    values = {
        (place, hole)
        for place, holes in source().texts.items()
        for hole in holes
        if re.search(r"^\w+(?:\.\w+)+$|^\w+\[|\b(?:header|body|request|call|record|caller|token|text|value)\b", hole)
    }

    assert source().texts
    assert values == set()


def test_templates_are_parsed_and_rendered_in_one_room_and_in_a_sandbox():
    assert {place.partition("/")[0] for place in imports("jinja2")} == {"prompts"}
    assert places("Environment") == set()  # only as a type, or below the sandboxed one
    assert imports("jinja2.sandbox.ImmutableSandboxedEnvironment") == {"prompts/filters.py"}


def test_what_must_not_be_guessed_is_the_systems_randomness():
    """`random` is for jitter, statistics and made-up answers."""
    rooms = {place.partition("/")[0] for place in imports("random")}

    assert rooms <= {"gateway_parts.py", "limits", "simulator", "evals", "secrets"}  # when to look at a manager again


def test_no_interface_of_the_shipped_defaults_is_reached_from_outside():
    assert Server().host == "127.0.0.1"

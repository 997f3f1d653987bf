"""The doctor against running gateways, with a real nginx in front of them: good ones, and ones that spoil streams."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time

import pytest
from e2e_processes import Process

NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
needs_nginx = pytest.mark.skipif(NGINX is None, reason="nginx is not installed: apt-get install nginx-light")

CONFIG = "providers: {sim: {kind: simulator, pace: 0}}\nmodels: {fast: sim/gpt-6-luna}\n"

CONF = """\
daemon off;
worker_processes 1;
pid {home}/nginx.pid;
error_log {home}/error.log warn;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {home}/body;
  proxy_temp_path {home}/proxy;
  fastcgi_temp_path {home}/fastcgi;
  uwsgi_temp_path {home}/uwsgi;
  scgi_temp_path {home}/scgi;
  server {{
    listen 127.0.0.1:{port};
    location /v1/ {{
      proxy_pass {address};
      {lines}
    }}
  }}
}}
"""
GOOD = 'proxy_http_version 1.1; proxy_set_header Connection ""; client_max_body_size 32m; '


@pytest.fixture
def make_nginx(tmp_path):
    made = []

    def make(address, lines):
        home = tmp_path / f"nginx-{len(made)}"
        home.mkdir()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        (home / "nginx.conf").write_text(CONF.format(home=home, port=port, address=address, lines=lines))
        command = [NGINX, "-p", str(home), "-c", f"{home}/nginx.conf", "-e", f"{home}/error.log"]
        process = subprocess.Popen(command)
        made.append(process)
        due_s = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
            except OSError:
                assert process.poll() is None, (home / "error.log").read_text()
                assert time.monotonic() < due_s, "nginx does not listen"
                time.sleep(0.02)
            else:
                return f"http://127.0.0.1:{port}"

    yield make
    for process in made:
        process.terminate()
        process.wait(10)


@pytest.fixture
def examine(tmp_path):
    """What the doctor finds, by check and by what it is about; and its exit code."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()

    def run(*words, key="", cwd=folder):
        command = [sys.executable, "-m", "headworks", "doctor", "--json", *words]
        environment = {**os.environ, "THE_KEY": key}
        done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120)
        assert done.stderr == ""
        found = json.loads(done.stdout)
        assert found["ok"] is (done.returncode == 0)
        return done.returncode, {
            (check["name"].split()[0], finding["about"]): finding
            for check in found["checks"]
            for finding in check["findings"]
        }

    return run


IN_PIECES = ("ok", "warning")
"""A machine that has much else to do keeps pieces back, too, which is a warning; buffering is a problem."""


def test_a_gateway_that_is_well_is_found_to_be_so_without_its_project(make_gateway, examine):
    gateway = make_gateway(CONFIG)

    code, found = examine("--url", gateway.base_url, "--key", "env:THE_KEY", key=gateway.key)

    assert code == 0, found
    assert {finding["verdict"] for what, finding in found.items() if what != ("streams", "unbuffered")} == {"ok"}
    assert found["streams", "unbuffered"]["verdict"] in IN_PIECES
    assert {about for _, about in found} >= {"reached", "answers", "key", "ready", "bodies", "unbuffered", "version"}
    assert found["streams", "unbuffered"]["figures"]["events"] == 20


def test_the_gateway_of_the_project_is_looked_at_with_everything_around_it(make_gateway, examine):
    """Where it listens, though the file says another port."""
    gateway = make_gateway(f"server: {{port: 1}}\n{CONFIG}")

    code, found = examine("--key", "env:THE_KEY", key=gateway.key, cwd=gateway.folder)

    assert code == 0, found
    assert {name for name, _ in found} == {"configuration", "machine", "store", "provider", "gateway", "streams"}
    assert found["store", "drained"]["verdict"] == "ok"
    assert found["streams", "unbuffered"]["verdict"] in IN_PIECES


def test_a_key_that_is_wrong_is_a_problem_and_a_missing_one_is_asked_for(make_gateway, examine):
    gateway = make_gateway(CONFIG)

    code, found = examine("--url", gateway.base_url, "--key", "env:THE_KEY", key="hw-wrong")
    assert (code, found["gateway", "key"]["verdict"]) == (1, "problem")

    code, found = examine("--url", gateway.base_url)
    assert (code, found["gateway", "key"]["verdict"], found["streams", "unbuffered"]["verdict"]) == (
        0,
        "skipped",
        "skipped",
    )
    assert "--key" in found["streams", "unbuffered"]["way_out"]


@needs_nginx
def test_an_nginx_that_buffers_in_spite_of_our_header_is_found_out(make_gateway, make_nginx, examine):
    gateway = make_gateway(CONFIG)
    url = make_nginx(
        gateway.process.address, "proxy_buffering on; proxy_ignore_headers X-Accel-Buffering;"
    )  # and HTTP/1.0

    code, found = examine("--url", url, "--key", "env:THE_KEY", key=gateway.key)

    assert code == 1
    unbuffered = found["streams", "unbuffered"]
    assert unbuffered["verdict"] == "problem"
    assert "BUFFERED on the way (nginx" in unbuffered["says"]
    assert "proxy_buffering off" in unbuffered["way_out"]
    assert unbuffered["figures"]["batches"] <= 2
    assert unbuffered["figures"]["longest_hold_s"] > 1.5


@needs_nginx
@pytest.mark.parametrize("lines", ["proxy_buffering off;", "proxy_buffering on;"])
def test_an_nginx_that_heeds_our_header_or_does_not_buffer_is_found_to_be_good(
    make_gateway, make_nginx, examine, lines
):
    gateway = make_gateway(CONFIG)

    code, found = examine(
        "--url", make_nginx(gateway.process.address, GOOD + lines), "--key", "env:THE_KEY", key=gateway.key
    )

    assert code == 0, found
    assert found["streams", "unbuffered"]["verdict"] in IN_PIECES
    assert found["streams", "unbuffered"]["figures"]["batches"] >= 17
    assert found["gateway", "ready"]["verdict"] == "skipped"  # only /v1/ is passed on
    assert found["gateway", "metrics"]["says"].endswith("is not shown")


@needs_nginx
def test_compression_and_small_bodies_of_an_nginx_are_found_out(make_gateway, make_nginx, examine):
    gateway = make_gateway(CONFIG)
    url = make_nginx(
        gateway.process.address,
        "proxy_http_version 1.1; proxy_buffering off; gzip on; gzip_types text/event-stream; gzip_min_length 0;",
    )

    code, found = examine("--url", url, "--key", "env:THE_KEY", key=gateway.key)

    assert code == 1
    assert found["streams", "encoding"]["verdict"] == "warning"
    bodies = found["gateway", "bodies"]
    assert (bodies["verdict"], "what stands in front" in bodies["says"]) == ("problem", True)


@needs_nginx
def test_a_proxy_without_its_gateway_and_one_that_cuts_silence_are_found_out(make_gateway, make_nginx, examine):
    gateway = make_gateway(CONFIG)
    url = make_nginx(gateway.process.address, GOOD + "proxy_read_timeout 3s;")

    code, found = examine("--url", url, "--key", "env:THE_KEY", "--long", "5", key=gateway.key)
    assert code == 0, found
    assert (found["silence", "idle"]["verdict"], found["silence", "heartbeat"]["verdict"]) == ("warning", "ok")
    assert found["silence", "idle"]["figures"]["cut_after_s"] == pytest.approx(3, abs=1)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        nowhere = f"http://127.0.0.1:{listener.getsockname()[1]}"
    code, found = examine("--url", make_nginx(nowhere, GOOD), "--key", "env:THE_KEY", key=gateway.key)
    assert code == 1
    assert "gateway behind it is not" in found["gateway", "answers"]["way_out"]


def test_providers_are_tried_for_nothing_and_their_limits_with_paid_calls(tmp_path, examine):
    (tmp_path / "plan.yaml").write_text("models: {gpt-6-luna: {limits: {rpm: 600, tpm: 90000}}}\n")
    words = ("simulate", "--port", "0", "--pace", "0", "--plan", "plan.yaml")
    simulator = Process(*words, ready="headworks simulator ready on ", cwd=tmp_path)
    (tmp_path / "headworks.yaml").write_text(
        f"server: {{port: 0}}\n"
        f"providers:\n"
        f"  up:\n"
        f"    kind: openai-compatible\n"
        f"    base_url: {simulator.address}/v1\n"
        f"    api_key: env:THE_KEY\n"
        f"    limits: {{requests_per_minute: 999999999}}\n"
        f"models: {{fast: up/gpt-6-luna, gone: up/gpt-2}}\n"
    )

    try:
        code, found = examine(key="sk-test", cwd=tmp_path)
        assert code == 0, found
        assert found["provider", "key"]["says"] == "the key is accepted (GET /models)"
        assert "gpt-2" in found["provider", "models"]["says"]
        assert found["provider", "limits"]["verdict"] == "skipped"
        assert found["provider", "clock"]["verdict"] == "ok"

        code, found = examine("--paid", key="sk-test", cwd=tmp_path)
        assert code == 1
        assert found["provider", "call gpt-6-luna"]["verdict"] == "ok"
        assert found["provider", "call gpt-2"]["verdict"] == "problem"
        assert found["provider", "requests_per_minute gpt-6-luna"]["verdict"] == "problem"
        assert found["provider", "tokens_per_minute gpt-6-luna"]["verdict"] == "warning"
    finally:
        assert simulator.stop() == 0

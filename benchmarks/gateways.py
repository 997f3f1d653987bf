"""The gateways of `make bench`: nginx as the limit, and Headworks as a user starts it."""

import json
import os
import shutil
import subprocess
from pathlib import Path

from benchmarks import wire
from benchmarks.python_builds import SOURCE
from benchmarks.targets import HOST, CannotMeasure, Start, free_port


def nginx(upstream_port: int, folder: Path, *, has_access_log: bool = False) -> Start:
    """A plain reverse proxy: the least that any gateway must do. Streams pass unbuffered, connections are kept."""
    binary = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if binary is None:
        raise CannotMeasure("nginx is the yardstick and is not installed: apt-get install nginx-light")
    name = "nginx+log" if has_access_log else "nginx"
    home = folder / name
    home.mkdir(parents=True)
    port = free_port()
    log = f"access_log {home}/access.log combined buffer=64k flush=1s;" if has_access_log else "access_log off;"
    (home / "nginx.conf").write_text(
        _NGINX.format(home=home, port=port, upstream=upstream_port, access_log=log, host=HOST), encoding="utf-8"
    )
    command = [binary, "-p", str(home), "-c", f"{home}/nginx.conf", "-e", f"{home}/error.log"]
    told = subprocess.run([binary, "-v"], capture_output=True, text=True, check=True).stderr
    return Start(
        name=name,
        command=command,
        port=port,
        headers=wire.sdk_headers(ANY_KEY),
        folder=home,
        version=told.strip().rpartition("/")[2],
    )


def headworks(
    upstream_port: int,
    folder: Path,
    python: Path,
    *,
    has_workload: bool = False,
    has_limits: bool = False,
    is_source: bool = False,
) -> Start:
    """The gateway as a user starts it: keys, breaker, journal, metrics, audit.

    Arguments:
        python: an interpreter that has Headworks installed.
        has_workload: its project has the workload `wire.WORKLOAD`.
        has_limits: the provider and the key's team have limits of requests and of tokens, which are never reached.
        is_source: nothing of it is compiled.
    """
    kinds = {"work": has_workload, "limits": has_limits, "source": is_source}
    name = "+".join(["headworks", *(kind for kind, is_so in kinds.items() if is_so)])
    home = folder / name
    home.mkdir(parents=True)
    if has_workload:
        workload = home / "workloads" / wire.WORKLOAD
        workload.mkdir(parents=True)
        for file, text in wire.WORK_FILES.items():
            (workload / file).write_text(text, encoding="utf-8")
    config = home / "headworks.yaml"
    config.write_text(headworks_config(upstream_port, has_limits=has_limits), encoding="utf-8")
    port = free_port()
    program = [str(python), "-m", "headworks"]
    environment = {UPSTREAM_KEY: "upstream-key-of-the-benchmark"}
    if is_source:
        environment["PYTHONPATH"] = str(SOURCE)
    made = subprocess.run(
        [*program, "keys", "create", "bench", "--team", "bench", "--json", "--config", str(config)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    if made.returncode != 0:
        raise CannotMeasure(f"`headworks keys create` failed: {made.stderr.strip().splitlines()[-1:]}")
    key: str = json.loads(made.stdout)["key"]
    serve = ["serve", "--config", str(config), "--host", HOST, "--port", str(port), "--workers", "1"]
    return Start(
        name=name,
        command=[*program, *serve],
        port=port,
        headers=wire.sdk_headers(key),
        folder=home,
        environment=environment,
        ready_line="headworks ready on ",
        version=subprocess.run([*program, "--version"], capture_output=True, text=True, check=True).stdout.split()[-1],
    )


def headworks_config(upstream_port: int, *, has_limits: bool = False) -> str:
    """A headworks.yaml with the stub as the provider; its model has another name there, so that bodies are changed."""
    limits = f"limits: {{ requests_per_minute: {wire.LIMIT_REQUESTS}, tokens_per_minute: {wire.LIMIT_TOKENS} }}"
    return _HEADWORKS.format(
        upstream=upstream_port,
        host=HOST,
        model=wire.MODEL,
        upstream_model=wire.UPSTREAM_MODEL,
        key=UPSTREAM_KEY,
        provider_limits=f"    {limits}\n" if has_limits else "",
        teams=f"  teams:\n    bench: {{ {limits} }}\n" if has_limits else "",
    )


ANY_KEY = "hw-0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJ"
"""For targets that check none: as long as a real one."""

UPSTREAM_KEY = "BENCHUPSTREAM_KEY"
"""The environment variable that holds the key for the stub, which takes any."""

_NGINX = """\
daemon off;
worker_processes 1;
pid {home}/nginx.pid;
error_log {home}/error.log warn;
events {{ worker_connections 8192; }}
http {{
  {access_log}
  keepalive_requests 1000000000;
  keepalive_timeout 300s;
  client_max_body_size 32m;
  client_body_buffer_size 128k;
  client_body_temp_path {home}/body;
  proxy_temp_path {home}/proxy;
  fastcgi_temp_path {home}/fastcgi;
  uwsgi_temp_path {home}/uwsgi;
  scgi_temp_path {home}/scgi;
  upstream stub {{
    server {host}:{upstream};
    keepalive 2048;
    keepalive_requests 1000000000;
    keepalive_timeout 300s;
  }}
  server {{
    listen {host}:{port} backlog=4096;
    location / {{
      proxy_pass http://stub;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
      proxy_read_timeout 600s;
    }}
  }}
}}
"""

_HEADWORKS = """\
version: 1
access:
  mode: keys
{teams}providers:
  stub:
    kind: openai-compatible
    base_url: http://{host}:{upstream}/v1
    api_key: env:{key}
    speaks: [chat, responses, embeddings]
{provider_limits}    connections:
      limit: 2048
models:
  {model}: stub/{upstream_model}
"""

"""Nobody makes the gateway connect, look up, run or open anything but what its configuration names.

Each test sends what a caller, or an upstream, may send; then the gateway's process is asked what it has done.
"""

import json
from pathlib import Path

import pytest
from watching import PROVIDER_KEY, SOURCE, plain, well

ADDRESSES = [
    "http://127.0.0.1:TRAP/x.png",
    "http://localhost:TRAP/x.png",
    "http://user:secret@127.0.0.1:TRAP/x.png",
    "http://2130706433:TRAP/x.png",
    "http://0x7f000001:TRAP/x.png",
    "http://0177.0.0.1:TRAP/x.png",
    "http://127.1:TRAP/x.png",
    "http://[::ffff:127.0.0.1]:TRAP/x.png",
    "http://[::1]:TRAP/x.png",
    "http://127.0.0.1.nip.example:TRAP/x.png",
    "http://169.254.169.254/latest/meta-data/",
    "http://metadata.google.internal/computeMetadata/v1/",
    "https://127.0.0.1:TRAP/x.png",
    "HTTP://127.0.0.1:TRAP/x.png",
    "//127.0.0.1:TRAP/x.png",
    "ftp://127.0.0.1:TRAP/x.png",
    "gopher://127.0.0.1:TRAP/_x",
    "file:///etc/passwd",
    "file://127.0.0.1/etc/passwd",
    "/etc/passwd",
    "data:image/png;base64,aGVsbG8=",
    "gs://bucket/x.png",
    "http://[::1/x.png",
    "http://[fe80::1%25en0]:TRAP/x.png",
    "http://exa\u2100mple.example/x.png",
    "http://\ud83d\ude00.example:port/x.png",
    "",
]
"""The set for server-side requests of OWASP's cheat sheet: other spellings of loopback, metadata services, other
schemes, files. `.example` never resolves (RFC 6761); nothing may try."""


def chat(model, url):
    parts = [{"type": "text", "text": f"What is at {url}?"}, {"type": "image_url", "image_url": {"url": url}}]
    return "/v1/chat/completions", {"model": model, "messages": [{"role": "user", "content": parts}]}


def responses(model, url):
    parts = [
        {"type": "input_image", "image_url": url, "detail": "low"},
        {"type": "input_file", "file_url": url},
    ]
    return "/v1/responses", {"model": model, "input": [{"role": "user", "content": parts}], "store": False}


def responses_with_tools(model, url):
    tools = [{"type": "mcp", "server_label": "x", "server_url": url, "command": "touch /tmp/x"}]
    return "/v1/responses", {"model": model, "input": "x", "store": False, "tools": tools}


def messages(model, url):
    parts = [
        {"type": "image", "source": {"type": "url", "url": url}},
        {"type": "document", "source": {"type": "url", "url": url}},
    ]
    body = {"model": model, "max_tokens": 9, "messages": [{"role": "user", "content": parts}]}
    return "/v1/messages", body


def generate(model, url):
    parts = [{"fileData": {"fileUri": url, "mimeType": "image/png"}}, {"text": "x"}]
    path = f"/v1beta/models/{model.replace('/', '%2F')}:generateContent"
    return path, {"contents": [{"role": "user", "parts": parts}]}


DIALECTS = (chat, responses, responses_with_tools, messages, generate)
PROVIDERS = ("open", "chat", "claude", "google")


def check(watched):
    """What the process has done: it reached its upstream, and nothing else."""
    path, body = chat("open/m", "data:,x")
    status, _ = watched.ask(path, body)  # what a test asks may all have been refused: then there was nothing to see
    assert status == 200
    port = watched.upstream.port
    hosts = set(watched.of("socket.getaddrinfo", "socket.gethostbyname"))
    assert hosts == {"localhost"}, hosts  # and so the hook sees
    reached = [tuple(address[:2]) for address in watched.of("socket.connect", "socket.sendto")]
    assert {(host in ("127.0.0.1", "::1"), where) for host, where in reached} == {(True, port)}, reached
    started = watched.of(
        "subprocess.Popen", "os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "pickle.find_class"
    )
    assert started == []


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_url_in_a_request_is_never_followed(watched, trap, dialect, provider):
    before = len(watched.upstream.bodies)
    statuses = []
    for url in ADDRESSES:
        written = url.replace("TRAP", str(trap.port))
        path, body = dialect(f"{provider}/m", written)
        status, _ = watched.ask(path, body)
        statuses.append(status)

    assert set(statuses) <= {200, 400, 422}, statuses
    assert len(watched.upstream.bodies) - before == statuses.count(200)  # passed on as text, or refused
    check(watched)


def test_what_a_caller_says_of_where_to_call_and_with_which_key_is_heard_by_nobody(watched, trap):
    elsewhere = f"http://127.0.0.1:{trap.port}/v1"
    path, body = chat("open/m", "data:,x")
    fields = {
        "api_base": elsewhere,
        "base_url": elsewhere,
        "api_key": "sk-of-somebody",
        "custom_llm_provider": "openai",
        "extra_headers": {"authorization": "Bearer sk-of-somebody", "host": "other.example"},
        "extra_body": {"api_base": elsewhere},
        "litellm_params": {"api_base": elsewhere},
        "azure_endpoint": elsewhere,
        "user_config": {"model_list": [{"litellm_params": {"api_base": elsewhere}}]},
    }
    headers = {
        "x_portkey_custom_host": elsewhere,
        "helicone_target_url": elsewhere,
        "x_litellm_api_base": elsewhere,
        "openai_base_url": elsewhere,
        "x_forwarded_host": f"127.0.0.1:{trap.port}",
        "forwarded": f"host=127.0.0.1:{trap.port}",
        "x_original_url": "/v1/models",
        "x_rewrite_url": "/metrics",
        "host": f"127.0.0.1:{trap.port}",
        "cookie": "session=1",
        "proxy": elsewhere,
    }

    status, _ = watched.ask(f"{path}?api_base={elsewhere}&base_url={elsewhere}", body | fields, **headers)

    assert status == 200
    head = watched.upstream.heads[-1].lower()
    assert head.startswith(b"post /v1/chat/completions http/1.1\r\n")
    assert f"\r\nauthorization: bearer {PROVIDER_KEY}\r\n".encode() in head
    assert f"\r\nhost: localhost:{watched.upstream.port}\r\n".encode() in head
    for told in (b"cookie", b"forwarded", b"portkey", b"helicone", b"litellm", b"somebody", b"original-url"):
        assert told not in head
    assert watched.key.encode() not in head + watched.upstream.bodies[-1]
    check(watched)


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Again", "308 Moved"])
def test_a_redirect_is_not_followed_and_not_passed_on(watched, trap, status):
    for number, target in enumerate(
        ("http://127.0.0.1:TRAP/v1", "http://169.254.169.254/", "file:///etc/passwd", "//x")
    ):
        location = target.replace("TRAP", str(trap.port))
        extra = (f"location: {location}", f"refresh: 0; url={location}", 'alt-svc: h2=":443"', "link: <x>")
        watched.upstream.answer = lambda path, body, extra=extra: plain({"moved": True}, *extra, status=status)
        try:
            path, body = chat(f"open/moved-{status[:3]}-{number}", "data:,x")
            answer = watched.say(
                f"POST {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\nauthorization: Bearer {watched.key}\r\n"
                f"content-type: application/json\r\ncontent-length: {len(json.dumps(body))}\r\n\r\n"
                f"{json.dumps(body)}".encode()
            )
        finally:
            watched.upstream.answer = well
        assert answer.split(b" ")[1] in (b"502", status[:3].encode()), answer[:300]
        head = answer.partition(b"\r\n\r\n")[0].lower()
        for name in (b"location", b"refresh", b"alt-svc", b"link"):
            assert b"\r\n" + name + b":" not in head
    check(watched)


TRAVERSALS = [
    "/v1/responses/..%2f..%2fetc%2fpasswd",
    "/v1/responses/../../../etc/passwd",
    "/v1/responses/%2e%2e/%2e%2e/etc/passwd",
    "/v1/responses/..%5c..%5cetc",
    "/v1/responses/%00",
    "/v1/responses/resp_call_..%2f..%2fkeys.db",
    "/v1/responses/resp_1/..%2f..%2fkeys.db",
    "/v1/approvals/appr_..%2f..%2fetc",
    "/v1/approvals/..%2fkeys.db",
    "/v1/models/..%2f..%2fetc%2fpasswd",
    "/v1/models/%2e%2e%2fheadworks.yaml",
    "/v1beta/models/..%2f..%2fetc%2fpasswd:generateContent",
    "/v1/chat/completions/chatcmpl-call_..%2f..%2fx",
    "/v1/files/..%2f..%2fetc%2fpasswd",
    "/v1/files/../content",
    "/v1/files/file-1%2f..%2f..%2fkeys/content",
    "/v1/batches/..%2fx/cancel",
    "/v1/conversations/..%2fconv_1/items",
    "/v1/vector_stores/vs_1/files/..%2f..%2fx",
    "/v1/vector_stores/%2e%2e/files",
    "/v1/fine_tuning/jobs/..%2f..%2fx/events",
    "//etc/passwd",
    "/v1//models",
    "/v1/./models",
    "/v1/models/..;/..;/metrics",
    "/etc/passwd",
    "/%2fetc%2fpasswd",
    "/v1%2fmodels",
    "/static/../headworks.yaml",
    "/.headworks/keys.db",
    "/headworks.yaml",
]


def test_no_id_and_no_name_leads_out_of_the_project(watched):
    before = len(watched.upstream.heads)
    for path in TRAVERSALS:
        for method in ("GET", "DELETE", "POST"):
            answer = watched.say(
                f"{method} {path} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {watched.key}\r\n"
                "content-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}".encode()
            )
            assert answer.split(b" ")[1] in (b"400", b"404", b"405"), (path, method, answer[:200])
    names = ["../../etc/passwd", "/etc/passwd", "..", "file:///etc/passwd", "a/../../b", "%2e%2e", "x\0y", "~root"]
    for name in names:
        for field in ({"model": name}, {"model": "open/" + name}, {"model": "m", "prompt": {"id": name}}):
            status, _ = watched.ask("/v1/responses", {"input": "x", "store": False} | field)
            assert status in (200, 400, 404), (name, field, status)
        for field in ({"previous_response_id": name}, {"conversation": name}):
            status, _ = watched.ask("/v1/responses", {"model": "open/m", "input": "x", "store": False} | field)
            assert status in (200, 400, 404), (name, field, status)
    for head in watched.upstream.heads[before:]:
        assert head.split(b" ")[1] == b"/v1/responses", head
    homes = (str(watched.folder.resolve()), str(SOURCE), *_python_folders())
    opened = [name for name in watched.of("open", "os.remove", "os.rename") if isinstance(name, str)]
    assert [name for name in opened if not str(Path(name).resolve()).startswith(homes)] == []
    check(watched)


def _python_folders():
    import site
    import sysconfig

    return [str(Path(sysconfig.get_path("stdlib")).resolve()), *map(str, map(Path, site.getsitepackages()))]


def test_nothing_that_a_caller_sends_is_run(watched):
    """Class names, templates and commands are text; and what is executed are modules that are imported."""
    gadgets = [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{% import os %}{{ os.popen('id').read() }}",
        "__import__('os').system('touch /tmp/x')",
        "!!python/object/apply:os.system ['id']",
        "cos\nsystem\n(S'id'\ntR.",
        "${jndi:ldap://127.0.0.1/x}",
        "$(touch /tmp/x)",
        "`id`",
        "'; DROP TABLE calls; --",
    ]
    for text in gadgets:
        for path, body in (chat("open/m", text), responses("open/m", text), chat(text, "data:,x")):
            status, _ = watched.ask(path, body, x_client_request_id=text.replace("\n", " "))
            assert status in (200, 400, 404)
        assert watched.ask("/v1/models", method="GET", authorization=text.replace("\n", " "))[0] in (401, 429)
    imported = watched.events()
    executed = [subject for name, subject in imported if name == "exec"]
    assert all("<code object <module>" in str(one) or "<string>" not in str(one) for one in executed), executed
    check(watched)

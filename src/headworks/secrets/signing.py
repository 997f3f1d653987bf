"""Requests to AWS's secret stores, signed (`headworks.sigv4`). Pure."""

import hashlib
import time
from urllib.parse import urlsplit

from headworks.secrets.asking import Ask
from headworks.sigv4 import Credentials, day_key, proof, signature_of


def signed(ask: Ask, credentials: Credentials, region: str, service: str, now_s: float) -> Ask:
    """The same request, signed.

    Arguments:
        ask: its path is `/`, and it has no query: that is all that the JSON protocols need.
        now_s: Unix seconds.
    """
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now_s))
    named = [*ask.headers, ("host", urlsplit(ask.url).netloc), ("x-amz-date", moment)]
    if credentials.token:
        named.append(("x-amz-security-token", credentials.token))
    headers = sorted((name.lower(), " ".join(value.split())) for name, value in named)
    names = ";".join(name for name, _ in headers)
    lines = [f"{name}:{value}" for name, value in headers]
    canonical = "\n".join([ask.method, "/", "", *lines, "", names, hashlib.sha256(ask.body).hexdigest()])
    scope = f"{moment[:8]}/{region}/{service}/aws4_request"
    key = day_key(credentials.key, moment[:8], region, service)
    signature = signature_of(key, moment, scope, canonical)
    sent = tuple((name, value) for name, value in headers if name != "host")  # the client sets that
    line = ("authorization", proof(credentials.key_id, scope, names, signature))
    return Ask(ask.method, ask.url, (*sent, line), ask.body)

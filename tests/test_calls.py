"""Journals outlive releases: what an older one wrote is still read."""

import msgspec

from headworks.calls import JournalEntry, Opened, OutcomeReport, Settled, SettledWithPrefix

decode = msgspec.msgpack.Decoder(JournalEntry).decode
OPENED = ["o", "call_1", 5, "responses", "fast", "key_a", "ann", "search", "u-1", "sim", "luna", False, 9]


def test_an_entry_settled_before_there_were_workloads_is_read_with_defaults():
    old = ["s", OPENED, "answered", 200, 7, 3, "", "stop", "luna-1", "resp_1", "req_1"]
    old += [100, 40, 0, 20, 5, "provider", 1, 300, b"{}", b"[]"]

    entry = decode(msgspec.msgpack.encode(old))

    assert isinstance(entry, Settled)
    assert (entry.response_body, entry.output_tokens) == (b"[]", 20)
    assert (entry.workload, entry.verdict, entry.repairs, entry.template_values) == ("", "", 0, b"")
    assert entry.content_expires_us == 0


def test_an_entry_of_a_later_release_is_read_without_what_it_added():
    new = ["u", "out_1", 5, "accepted", "boolean", "true", "call_1", "", "", "key_a", "api", "", "later", 3]

    assert decode(msgspec.msgpack.encode(new)) == OutcomeReport(
        "out_1", 5, "accepted", "boolean", "true", call_id="call_1", key_id="key_a", source="api"
    )


def test_each_entry_comes_back_as_what_it_was():
    opened = Opened("call_1", 5, "responses", "fast")
    for entry in (
        opened,
        Settled(opened, "answered", 200, 7, workload="triage", template_values=b"{}"),
        SettledWithPrefix(Settled(opened, "answered", 200, 7, workload="triage"), b"\x01hashes"),
        OutcomeReport("out_1", 5, "score", "number", "0.5", trace_id="t"),
    ):
        assert decode(msgspec.msgpack.encode(entry)) == entry

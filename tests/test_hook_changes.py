"""Whatever a hook answers: nothing changes but what it may change, and that as if the caller had said it."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.access import Grant
from headworks.admission import admission_of
from headworks.calls import Caller
from headworks.dialects import read_head
from headworks.endpoints import find_route
from headworks.exchange import Request
from headworks.extending import PARAMETERS, Changes
from headworks.hook_changes import Hooked, HookFailed, changed_by, facts_of
from headworks.settlement import CallMaker

BODY = b'{"model": "nano", "input": "Hello", "store":false, "metadata": {"a": "1"}, "temperature": 0.5, "tools": []}'

scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8)
)
names = st.sampled_from([*sorted(PARAMETERS), "model", "input", "tools", "store", "instructions", "x"])
changes = st.builds(
    Changes,
    metadata=st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=3),
    parameters=st.dictionaries(names, scalars | st.lists(scalars, max_size=2), max_size=4),
    target=st.sampled_from(["", "nano", "mini", "other"]),
)


def reread(request, admission):
    return read_head(request.body, admission.route.endpoint)


def asked():
    request = Request("POST", "/v1/responses", body=BODY)
    grant = Grant(Caller())
    admission = admission_of(request, find_route("POST", "/v1/responses"), grant, None)
    call = CallMaker().begin("responses", Caller())
    found = Hooked(request, reread(request, admission), None, "")
    return found, facts_of(call, "nano", found, admission, grant, ["mini"]), admission


@pytest.mark.parametrize("value", [float("inf"), float("nan"), [float("-inf")], object()])
def test_what_json_has_no_word_for_is_no_change(value):
    found, facts, admission = asked()
    with pytest.raises(HookFailed, match="no JSON"):
        changed_by(Changes(parameters={"temperature": value}), found, facts, admission, "own", reread)


@given(changes)
def test_only_what_a_hook_may_change_is_changed(wanted):
    found, facts, admission = asked()
    try:
        changed = changed_by(wanted, found, facts, admission, "own", reread)
    except HookFailed:
        assert not wanted.parameters.keys() <= PARAMETERS or wanted.target == "other"
        return

    before, after = found.head.fields, changed.head.fields
    rest = {name: bytes(raw) for name, raw in after.items() if name not in (*PARAMETERS, "metadata", "model")}
    assert rest == {name: bytes(before[name]) for name in ("input", "store", "tools")}
    assert msgspec.json.decode(after["metadata"]) == {"a": "1", **wanted.metadata}
    assert changed.head.model == (wanted.target or "nano")
    for name, value in wanted.parameters.items():
        assert msgspec.json.decode(after[name]) == value
    if not (wanted.metadata or wanted.parameters or wanted.target == "mini"):
        assert changed.request.body is BODY


@pytest.mark.parametrize("wanted", [None, {}, "mini", Changes(parameters={"temperature": object()})])
def test_what_is_no_change_is_a_failure(wanted):
    found, facts, admission = asked()
    with pytest.raises(HookFailed):
        changed_by(wanted, found, facts, admission, "own", reread)

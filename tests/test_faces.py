"""Faces that load what they offer when it is asked for: all of it is there, and little is loaded for little."""

import importlib
import subprocess
import sys

import pytest

FACES = ["headworks.screening", "headworks.screening.output", "headworks.simulator"]


@pytest.mark.parametrize("name", FACES)
def test_every_name_that_a_face_offers_is_there_and_no_other(name):
    face = importlib.import_module(name)

    assert {one for one in face.__all__ if getattr(face, one, None) is None} == set()
    with pytest.raises(AttributeError, match=r"has no attribute 'nothing'"):
        _ = face.nothing
    with pytest.raises(ImportError, match="nothing"):
        exec(f"from {name} import nothing")


def loaded_by(code):
    """The modules that a new process has when it has run this."""
    script = f"import sys; {code}; print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True, check=True)
    return set(ended.stdout.split())


def test_a_process_of_rules_starts_without_configuration_event_loop_and_yaml():
    loaded = loaded_by(
        "from headworks.screening.output.rules_worker import main; from headworks.screening import Verdict"
    )

    assert "headworks.screening.output.verdicts" in loaded
    assert loaded & {"headworks.config", "headworks.catalogue", "asyncio", "yaml"} == set()


def test_a_simulators_plan_is_read_without_what_plays_it():
    loaded = loaded_by("from headworks.simulator import Plan, load_plan")

    assert "headworks.simulator.plan" in loaded
    assert loaded & {"headworks.simulator.service", "headworks.simulator.simulator", "asyncio"} == set()

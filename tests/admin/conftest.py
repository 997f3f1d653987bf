from pathlib import Path

import pytest

from headworks.access import Principal, Role, RoleGrant
from headworks.admin import Desk
from headworks.config import parse

NOW_S = 1_795_435_200.0

TEXT = """
providers: {sim: {kind: simulator}}
access:
  organisations: {acme: {teams: [search, support]}, globex: {teams: [billing]}}
  teams: {search: {limits: {requests_per_minute: 60}, budget: {per_day: 5}}, billing: {}}
models: {nano: sim/gpt-6-luna}
"""


def grants(*roles, where=None):
    return tuple(RoleGrant(Role(role), where) for role in roles)


@pytest.fixture
def project(tmp_path):
    file = tmp_path / "headworks.yaml"
    file.write_text(TEXT)
    return parse(TEXT, file=str(file), base=Path(tmp_path))


@pytest.fixture
def told():
    return []


@pytest.fixture
def desk(project, told):
    """A desk for somebody with these roles, everywhere or in one organisation."""

    def sit(*roles, where=None, who="key_ann", way="key"):
        def tell(action, target, detail, outcome):
            told.append((action, target, dict(detail), outcome))

        return Desk(project, Principal(who, "ann", way, grants(*roles, where=where)), tell, now=lambda: NOW_S)

    return sit

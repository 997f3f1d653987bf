"""The URL under which the records are, put together from what the file says."""

import pytest

from headworks.config import store_url
from headworks.errors import ConfigError

SIMULATOR = "providers: {sim: {kind: simulator}}\n"


def test_without_a_store_there_is_no_url(project):
    assert store_url(project(SIMULATOR)) == ""


@pytest.mark.parametrize(
    ("url", "whole"),
    [
        ("postgresql://u@h:1/db", "postgresql://u@h:1/db?password=a%2Fb%3F%26%25"),
        ("postgresql://u@h/db?sslmode=require", "postgresql://u@h/db?sslmode=require&password=a%2Fb%3F%26%25"),
    ],
)
def test_a_password_of_any_characters_goes_into_the_url_by_which_the_store_is_opened(project, url, whole):
    made = project(f"{SIMULATOR}records: {{store: '{url}', store_password: env:PW}}\n")

    assert store_url(made, {"PW": "a/b?&%"}) == whole


def test_a_store_without_a_password_is_as_it_stands(project):
    made = project(f"{SIMULATOR}records: {{store: 'postgresql:///db?host=/run/postgresql'}}\n")

    assert store_url(made) == "postgresql:///db?host=/run/postgresql"


def test_a_password_that_is_not_there_is_named_with_its_place(project):
    made = project(f"{SIMULATOR}records: {{store: 'postgresql://h/db', store_password: env:PW}}\n")

    with pytest.raises(ConfigError, match=r":2:\d+: records\.store_password: .*PW"):
        store_url(made, {})

"""Where records are kept, when not in the storage folder."""

import os
from collections.abc import Mapping
from importlib.util import find_spec
from urllib.parse import quote

from headworks.config.project import Project
from headworks.config.secrets import read_secret
from headworks.errors import ConfigError, SecretError

NEEDS_EXTRA = "records in PostgreSQL need the extra `postgres`: pip install 'headworks[postgres]'"


def store_url(project: Project, environment: Mapping[str, str] = os.environ) -> str:
    """The URL of the database that has the records, with its password; "" where they are in the storage folder.

    It is for `records.open_store`, and for no message.

    Raises:
        ConfigError: the password cannot be read, or what speaks to the database is not installed.
    """
    records = project.config.records
    if records.store is None:
        return ""
    if find_spec("psycopg") is None:
        raise ConfigError(project.problem(("records", "store"), NEEDS_EXTRA))
    if records.store_password is None:
        return records.store
    try:
        password = read_secret(records.store_password, base=project.folder, environment=environment)
    except SecretError as error:
        raise ConfigError(project.problem(("records", "store_password"), str(error))) from None
    joint = "&" if "?" in records.store else "?"
    return f"{records.store}{joint}password={quote(password.reveal(), safe='')}"

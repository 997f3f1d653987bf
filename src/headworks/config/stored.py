"""Where records are kept, when not in the storage folder."""

import os
from collections.abc import Mapping
from urllib.parse import quote

from headworks.config.project import Project
from headworks.config.secrets import read_secret
from headworks.errors import ConfigError, SecretError


def store_url(project: Project, environment: Mapping[str, str] = os.environ) -> str:
    """The URL of the database that has the records, with its password; "" where they are in the storage folder.

    It is for `records.open_store`, and for no message.

    Raises:
        ConfigError: the password cannot be read.
    """
    records = project.config.records
    if records.store is None:
        return ""
    if records.store_password is None:
        return records.store
    try:
        password = read_secret(records.store_password, base=project.folder, environment=environment)
    except SecretError as error:
        raise ConfigError(project.problem(("records", "store_password"), str(error))) from None
    joint = "&" if "?" in records.store else "?"
    return f"{records.store}{joint}password={quote(password.reveal(), safe='')}"

"""`headworks.yaml` and what it refers to: text in, frozen structs out.

`load` reads a file and names every problem at once, each with line, column, what was expected and the nearest
valid name. `examine` then looks at what the file refers to (secrets, certificates, plans). Secrets stand in the
file as references only; `read_secret` follows one. Relative paths are relative to the file's folder.

May import `errors` and `exchange`, and nothing else of Headworks.
"""

from headworks.config.examine import Examination, examine
from headworks.config.project import FILE_NAME, Project, load, parse
from headworks.config.schema import SCHEMA_FILE, json_schema, json_schema_text
from headworks.config.secrets import Secret, is_reference, read_secret
from headworks.config.shape import (
    Access,
    Config,
    Connections,
    Defaults,
    Model,
    Provider,
    Records,
    SecretReference,
    Server,
    Speech,
    Storage,
    Timeouts,
    Tls,
)

__all__ = [
    "FILE_NAME",
    "SCHEMA_FILE",
    "Access",
    "Config",
    "Connections",
    "Defaults",
    "Examination",
    "Model",
    "Project",
    "Provider",
    "Records",
    "Secret",
    "SecretReference",
    "Server",
    "Speech",
    "Storage",
    "Timeouts",
    "Tls",
    "examine",
    "is_reference",
    "json_schema",
    "json_schema_text",
    "load",
    "parse",
    "read_secret",
]

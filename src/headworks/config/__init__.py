"""`headworks.yaml`, the workloads' contracts and `headworks.lock`: text in, frozen structs out.

`load` reads a file and names every problem at once, each with line, column, what was expected and the nearest
valid name. `examine` then looks at what the file refers to (secrets, certificates, plans). `load_workloads` reads the
contracts in the same way, and `examine_workloads` has the files beside them checked by those who compile them.
Secrets stand in the file as references only; `read_secret` follows one. Relative paths are relative to the file's
folder.

`price_book` makes the catalogue's prices and the file's own terms into what each target costs; `find_retiring` says
which of the models that are named somewhere are shut down soon, `tier_limits` what the usage tiers of its accounts may
use.

What the file may say is in `sections`, a file for each. May import `calls`, `catalogue`, `errors` and `exchange`, and
nothing else of Headworks.
"""

from headworks.config.administration import is_loopback
from headworks.config.contract import Contract
from headworks.config.examine import OPEN_ENVIRONMENT, Examination, examine
from headworks.config.lock import (
    LOCK_FILE,
    Lock,
    Locked,
    SemanticEvidence,
    lock_text,
    locked_model_problem,
    read_lock,
)
from headworks.config.managers import Aws, Azure, Google, LocalSecretReference, SecretReference, Secrets, Vault
from headworks.config.naming import DETERMINISTIC, model_named, model_of_rung, target_of_rung
from headworks.config.pricing import price_book, price_terms
from headworks.config.project import FILE_NAME, Project, load, load_state, load_with_text, parse
from headworks.config.reading import read_text
from headworks.config.references import Reference, is_local_reference, is_reference, is_token, parse_reference
from headworks.config.retiring import Retiring, find_retiring, retiring_text, retiring_warnings
from headworks.config.rules import open_access_problem
from headworks.config.schema import (
    SCHEMA_FILE,
    WORKLOAD_SCHEMA_FILE,
    json_schema,
    json_schema_text,
    workload_schema,
    workload_schema_text,
)
from headworks.config.secrets import ReadSecret, Secret, look_at_secret, one_line, read_secret
from headworks.config.sections.access import Access
from headworks.config.sections.kinds import Speech
from headworks.config.sections.models import TIER_ROLES, Model, Tiers
from headworks.config.sections.prices import OwnPrices, Pricing, ProviderPrices, SelfHosted
from headworks.config.sections.providers import Provider
from headworks.config.sections.records import Anchor, Audit, Records, Storage
from headworks.config.sections.server import MOST_WORKERS, Server, Tls
from headworks.config.sections.upstreams import Connections, Defaults, Timeouts
from headworks.config.shape import Config
from headworks.config.stored import store_url
from headworks.config.tiers import TierLimits, limits_words, source_words, tier_limits, tier_warnings
from headworks.config.workloads import (
    CONTRACT_FILE,
    FALLBACK_FILES,
    FIRST_CODE_FILE,
    Check,
    Workload,
    WorkloadFiles,
    examine_workloads,
    load_workloads,
)

__all__ = [
    "CONTRACT_FILE",
    "DETERMINISTIC",
    "FALLBACK_FILES",
    "FILE_NAME",
    "FIRST_CODE_FILE",
    "LOCK_FILE",
    "MOST_WORKERS",
    "OPEN_ENVIRONMENT",
    "SCHEMA_FILE",
    "TIER_ROLES",
    "WORKLOAD_SCHEMA_FILE",
    "Access",
    "Anchor",
    "Audit",
    "Aws",
    "Azure",
    "Check",
    "Config",
    "Connections",
    "Contract",
    "Defaults",
    "Examination",
    "Google",
    "LocalSecretReference",
    "Lock",
    "Locked",
    "Model",
    "OwnPrices",
    "Pricing",
    "Project",
    "Provider",
    "ProviderPrices",
    "ReadSecret",
    "Records",
    "Reference",
    "Retiring",
    "Secret",
    "SecretReference",
    "Secrets",
    "SelfHosted",
    "SemanticEvidence",
    "Server",
    "Speech",
    "Storage",
    "TierLimits",
    "Tiers",
    "Timeouts",
    "Tls",
    "Vault",
    "Workload",
    "WorkloadFiles",
    "examine",
    "examine_workloads",
    "find_retiring",
    "is_local_reference",
    "is_loopback",
    "is_reference",
    "is_token",
    "json_schema",
    "json_schema_text",
    "limits_words",
    "load",
    "load_state",
    "load_with_text",
    "load_workloads",
    "lock_text",
    "locked_model_problem",
    "look_at_secret",
    "model_named",
    "model_of_rung",
    "one_line",
    "open_access_problem",
    "parse",
    "parse_reference",
    "price_book",
    "price_terms",
    "read_lock",
    "read_secret",
    "read_text",
    "retiring_text",
    "retiring_warnings",
    "source_words",
    "store_url",
    "target_of_rung",
    "tier_limits",
    "tier_warnings",
    "workload_schema",
    "workload_schema_text",
]

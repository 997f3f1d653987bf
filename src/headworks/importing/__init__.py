"""Files of other gateways made into ours, with a report of what became of each setting.

`read_source` reads a file of LiteLLM, Portkey or TensorZero, and `import_source` makes it into the texts of our files
and one finding for each setting: mapped, needless here, or missing with what to do instead. Nothing is left out of the
report, and no secret of the source goes into a file of ours or into the report.

May import `calls`, `config` and `errors`, and nothing else of Headworks. Reads the file that it is given, and writes
nothing.
"""

from headworks.importing.keys import Variable
from headworks.importing.ledger import Fate, Finding
from headworks.importing.result import Imported
from headworks.importing.sources import GATEWAYS, import_file
from headworks.importing.writing import PLAN_FILE

__all__ = ["GATEWAYS", "PLAN_FILE", "Fate", "Finding", "Imported", "Variable", "import_file"]

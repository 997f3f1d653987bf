"""Tracing: the spans that agents' SDKs send of their runs, kept without their content and joined to calls.

`read_traces` reads what the OpenAI Agents SDK posts: names, times and ids; what was asked and answered is not even
decoded. `TraceBook` keeps it in a file of its own, bounded; `tree_of` puts the spans of a trace in order. A span of a
response names the response, and by it the call is found.

May import `database`, `errors`.
"""

from headworks.tracing.book import TraceBook
from headworks.tracing.reading import Ingested, Span, Trace, read_traces
from headworks.tracing.tree import Branch, tree_of

TRACES_FILE = "traces.sqlite"
"""The name of the book in the state directory."""

__all__ = ["TRACES_FILE", "Branch", "Ingested", "Span", "Trace", "TraceBook", "read_traces", "tree_of"]

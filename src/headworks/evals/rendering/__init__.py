"""A report for people and machines: Markdown, one HTML file, JSON, JUnit. Pure: text out.

Markdown and JUnit go where many read them (a pull request, a CI server): they name cases and reasons, and hold neither
inputs nor answers. HTML and JSON show failing cases whole.
"""

from headworks.evals.amounts import money
from headworks.evals.rendering.html import html_report
from headworks.evals.rendering.junit import junit_report
from headworks.evals.rendering.markdown import markdown_report
from headworks.evals.rendering.words import json_report, latency, notes_of, percent, score_with_interval

__all__ = [
    "html_report",
    "json_report",
    "junit_report",
    "latency",
    "markdown_report",
    "money",
    "notes_of",
    "percent",
    "score_with_interval",
]

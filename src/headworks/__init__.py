"""Headworks: the production layer between applications and LLM APIs."""

from headworks._version import __version__

__all__ = ["__version__"]

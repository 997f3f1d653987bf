"""Evals: golden sets, scorers, the statistics of small samples, and the ladder that finds the cheapest model that is
provably good enough.

May import `calls`, `errors`, `catalogue`, `config`. Asks no model itself: whoever runs an eval passes in how.
"""

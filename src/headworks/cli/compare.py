"""Hold one arm against another: two models, two versions of a prompt, two runs, or two stretches of live traffic.

  headworks compare WORKLOAD --arm A --arm B   run both on the golden set: B against A
  headworks compare RUN [RUN]                  two runs, or the two arms of one, without any call; RUN:ARM names an arm
  headworks compare WORKLOAD --outcome NAME --arm A --arm B
                                               by what was reported of live calls: prompt=1.0.0, model=mini, or times
                                               (--arm until=2026-11-08 --arm since=2026-11-08)

What is found of live calls holds however often one looks, so a canary may be watched without an end. --prefer has the
judge of evals.yaml say which of two answers is better, each pair in both orders; that decides nothing.

Exit codes: 0 not worse, shown within --margin; 1 worse, shown, or a case that must pass does not; 3 the evidence is too
thin to say either. `headworks eval compare` is the same.
"""

import argparse

from headworks.cli.call_filters import common_arguments
from headworks.cli.eval import compare_arguments, run_comparison


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    common_arguments(parser, has_defaults=True)
    compare_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Do it; returns the exit code."""
    return run_comparison(options)

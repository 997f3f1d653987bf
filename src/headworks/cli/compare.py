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

from headworks.cli.eval import arm_arguments, check_live


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("run_id", metavar="WORKLOAD | RUN", help="a workload, a run's id, its beginning, or `last`")
    parser.add_argument("other", nargs="?", default="", metavar="RUN", help="the one that is newer")
    arm_arguments(parser)
    parser.set_defaults(split="deciding")


def run(options: argparse.Namespace) -> int:
    """Do it; returns the exit code."""
    from headworks.config import load

    check_live(options)
    project = load(options.config)
    if options.outcome:
        from headworks.cli.eval_live import run_live

        return run_live(project, options)
    from headworks.cli.eval_compare import run_compare

    return run_compare(project, options)

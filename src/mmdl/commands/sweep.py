"""Trains an experiment with many settings, each in a run and a process of its own; resumable.

usage: python -m mmdl sweep +experiment=NAME KEY=A,B [KEY=VALUE ...] [sweep.name=NAME]
       python -m mmdl sweep +experiment=NAME sweep=optuna 'KEY=interval(LOW,HIGH)' [sweep.n_trials=N]
       python -m mmdl sweep resume=NAME|latest

Trials that have finished are not trained again: the same command, or resume=NAME, goes on where a sweep was
interrupted, with what was running from its last checkpoint and what has failed once more. More values, or more
sweep.n_trials, may be added under the same sweep.name.

common overrides:
  sweep.name=lr                 its folder is runs/sweeps/lr, its runs are lr-1, lr-2, ...
  sweep.jobs=2                  trials at a time (also --jobs 2), with their shares of CPU threads and GPUs
  sweep.retries=1               how often a trial that fails is started once more
  sweep.pruner=median           with sweep=optuna: give up trials that are worse than the median
  --dry-run                     list the trials and do nothing

examples:
  python -m mmdl sweep +experiment=mnist optimizer.lr=3e-3,1e-2 seed=0,1,2
  python -m mmdl sweep +experiment=vqa model/fusion=film,hadamard sweep.name=fusion --dry-run
  python -m mmdl sweep +experiment=mnist sweep=optuna 'optimizer.lr=tag(log,interval(1e-4,1e-1))' sweep.n_trials=10
  python -m mmdl sweep resume=fusion
"""

from __future__ import annotations

import logging
import sys

from omegaconf import DictConfig

from mmdl.assembly import quiet_console
from mmdl.errors import RunError
from mmdl.runs.stop_signals import stop_signals
from mmdl.sweeps.dry_run import dry_run_lines
from mmdl.sweeps.opening import OpenedSweep, open_sweep
from mmdl.sweeps.report import report
from mmdl.sweeps.runner import Runner
from mmdl.sweeps.stopping import stopped

log = logging.getLogger("mmdl")


def main(cfg: DictConfig) -> None:
    """Run the verb.

    Raises:
        UserError: if anything is wrong with the sweep, before its first trial.
        RunError: if trials have failed, after all others.
        Preempted: if a signal has stopped it.
    """
    quiet_console()
    with open_sweep(cfg, sys.argv[2:]) as opened:
        if cfg.dry_run:
            print("\n".join(dry_run_lines(opened)))
            return
        _train(opened)


def _train(opened: OpenedSweep) -> None:
    sweep, method = opened.sweep, opened.method
    log.info("%-12s %s", "sweep", sweep.folder)
    for line in opened.lines:
        log.info("%s", line)
    with stop_signals.caught():
        stop_signals.listen()
        stop_signals.hold()
        Runner(sweep, method, opened.words, opened.command.flags, stop_signals, opened.devices).run()
        cause = stop_signals.received
    if cause is not None:
        raise stopped(sweep, cause)
    print("\n" + report(sweep, [*opened.command.flags, *opened.command.fixed], method.notes()))
    failed = [trial for trial in sweep.trials if trial.state == "failed"]
    if failed:
        raise RunError(
            f"{len(failed)} of {len(sweep.trials)} trials failed: {failed[0].run}: {failed[0].error}",
            fix=f"{sweep.folder / 'logs'}, then python -m mmdl sweep resume={sweep.name} trains them once more",
        )

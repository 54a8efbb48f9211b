"""One job of a Hydra verb: the command's function with the process around it as the command expects it."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from omegaconf import DictConfig
from omegaconf.errors import InterpolationResolutionError, MissingMandatoryValue

from mmdl.cli.config_errors import as_user_error
from mmdl.cli.disk import disk_full
from mmdl.cli.submitit_job import job_of_submitit
from mmdl.cli.values import value_errors
from mmdl.errors import UserError, UserErrors
from mmdl.resolvers import register_resolvers

_SWEEP_ONLY = re.compile(r"[+~]*hydra[./](mode|launcher|sweeper|sweep|run|callbacks)\b")


class JobRefusedError(BaseException):
    """Carries a `UserError` through Hydra, which prints a line of its own about any `Exception`."""

    def __init__(self, error: UserError) -> None:
        self.error = error
        super().__init__(str(error))


class Job:
    """Runs `mmdl.commands.<verb>.main(cfg)`; picklable, so that launchers can send it to other processes.

    Args:
        verb: The verb.
        argv: The whole command line, program and verb included.
        flags: Those words of it that choose configs (`--config-dir ...`) or trust packages.
        whole: Whether missing and unresolvable values are refused before the command starts.
    """

    def __init__(self, verb: str, argv: Sequence[str], flags: Sequence[str], *, whole: bool) -> None:
        self.verb = verb
        self.argv = list(argv)
        self.flags = list(flags)
        self.whole = whole

    def __call__(self, cfg: DictConfig) -> float | None:
        """Runs the command.

        Args:
            cfg: The composed config without its `hydra` node.

        Returns:
            What the command returns: a figure for a sweeper, or None.

        Raises:
            JobRefusedError: In place of a `UserError` in a single run.
            UserError: In a multirun, where Hydra collects the jobs' results.
        """
        register_resolvers()  # a launcher's worker composes nothing itself
        with job_of_submitit():
            return self._run(cfg)

    def _run(self, cfg: DictConfig) -> float | None:
        from hydra.core.hydra_config import HydraConfig
        from hydra.types import RunMode

        is_single = HydraConfig.get().mode != RunMode.MULTIRUN
        try:
            errors = value_errors(cfg) if self.whole else []
            if errors:
                raise UserErrors(errors)
            with process_of(self.argv if is_single else self.sweep_argv()):
                result: float | None = importlib.import_module(f"mmdl.commands.{self.verb}").main(cfg)
                return result
        except (UserError, MissingMandatoryValue, InterpolationResolutionError, OSError) as error:
            user_error = disk_full(error) if isinstance(error, OSError) else as_user_error(error)
            if user_error is None:
                raise
            if is_single:
                raise JobRefusedError(user_error) from error
            raise user_error from error

    def sweep_argv(self) -> list[str]:
        """The command line that does this one job of a multirun, as if it had been given alone."""
        from hydra.core.hydra_config import HydraConfig

        overrides = HydraConfig.get().overrides
        kept = [override for override in overrides.hydra if not _SWEEP_ONLY.match(override)]
        return [self.argv[0], self.verb, *self.flags, *overrides.task, *kept]


@contextmanager
def process_of(argv: Sequence[str]) -> Iterator[None]:
    """The process as a command expects it, and as it was before afterwards.

    Lightning starts a further rank as `python -m <__main__'s module> sys.argv[1:]`, so argv is whole. A
    launcher's worker has another `__main__`: mmdl's is put there. The environment is restored at the end,
    so that what one job of a sweep exports (its run id, its master port) does not reach the next.

    Args:
        argv: Program, verb, flags and overrides of this one job.
    """
    main = sys.modules["__main__"]
    argv_before, spec_before, environment = sys.argv, getattr(main, "__spec__", None), dict(os.environ)
    sys.argv = list(argv)
    is_script = spec_before is None and os.path.isfile(argv[0])  # noqa: PTH113 - the console script
    if not is_script and (spec_before is None or spec_before.name.split(".")[0] != "mmdl"):
        main.__spec__ = importlib.util.find_spec("mmdl.__main__")
    try:
        yield
    finally:
        sys.argv, main.__spec__ = argv_before, spec_before
        for name in os.environ.keys() - environment.keys():
            del os.environ[name]
        os.environ.update(environment)

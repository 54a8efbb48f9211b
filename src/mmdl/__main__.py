"""The `mmdl` command: the verb table and nothing heavy.

`python -m mmdl VERB ...` and the console script `mmdl VERB ...` are the same. A verb's code is
`mmdl/commands/<verb>.py`; it is imported once the config is known to be sound.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Sequence

from mmdl.cli.verb import Verb
from mmdl.errors import EXIT_USER_ERROR, Preempted, RunError, UserError, UserErrors, nearest

VERBS = {
    "train": Verb("train an experiment, evaluate it, and leave a run folder", config="train"),
    "sweep": Verb(
        "train an experiment with many settings: a grid or an Optuna study, resumable",
        config="sweep",
        whole=False,
    ),
    "submit": Verb("train an experiment as a Slurm job, which survives preemption", config="submit"),
    "eval": Verb("evaluate a run again, on its own or on other data", config="eval"),
    "predict": Verb(
        "classify your own images, rank texts for them, or answer questions, with a run", config="predict"
    ),
    "review": Verb("compare runs: what is better, is it real, what goes wrong; one page, or --serve"),
    "inspect": Verb(
        "see inside a classifier: feature maps, Grad-CAM, gradients of one image", config="inspect"
    ),
    "export": Verb("write an image-text encoder as a folder that open_clip loads", config="export"),
    "index": Verb("encode a folder of images with a contrastive run, for search", config="index"),
    "search": Verb("find the images of an index that fit a text, or look like an image", config="search"),
    "check": Verb("find every error of an experiment without training it", config="check", whole=False),
    "ls": Verb("list experiments, models, data sets, any config group, and runs"),
    "data": Verb("generate, download or inspect data"),
}

EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141


def dispatch(words: Sequence[str]) -> int:
    """Runs one command line.

    Args:
        words: The words after the program.

    Returns:
        The exit code.

    Raises:
        UserError: For every mistake of the user's.
    """
    from mmdl.cli import completion, help  # noqa: A004 - the module is named after its page

    verb = words[0] if words else "help"
    if completion.is_completion(words):
        completion.complete(words, VERBS)
        return 0
    if verb in ("help", "-h", "--help"):
        named = [word for word in words[1:] if word in VERBS]
        print(help.verb_page(named[0], VERBS[named[0]]) if named else help.overview(VERBS))
        return 0
    if verb in ("--version", "-V"):
        import mmdl

        print(f"mmdl {mmdl.__version__}")
        return 0
    if verb not in VERBS:
        raise _unknown(verb, words)
    return _run(verb, words[1:])


def _unknown(verb: str, words: Sequence[str]) -> UserError:
    named = [word for word in words if word in VERBS]
    if named and (verb.startswith("-") or "=" in verb):
        others = " ".join(word for word in words if word != named[0])
        return UserError(f"the verb comes first, before {verb}", fix=f"python -m mmdl {named[0]} {others}")
    if "=" in verb:
        return UserError(f"no verb before {verb}", valid=", ".join(VERBS), fix=f"python -m mmdl train {verb}")
    near = nearest(verb, VERBS)
    return UserError(f"unknown verb {verb!r}", valid=near, fix=f"python -m mmdl {near.split(',')[0]} --help")


def _run(verb: str, words: Sequence[str]) -> int:
    from mmdl.cli.arguments import export_trust, flags_as_overrides, take_trust

    row = VERBS[verb]
    rest, trusted = take_trust(flags_as_overrides(verb, words))
    export_trust(trusted)
    if row.config is None:
        import importlib

        result = importlib.import_module(f"mmdl.commands.{verb}").main(rest)
        return int(result or 0)
    if "--help" in rest or "-h" in rest:
        from mmdl.cli.help import verb_page

        print(verb_page(verb, row))
        return 0
    from mmdl.cli.app import run

    run(verb, row.config, rest, trusted=trusted, whole=row.whole)
    return 0


OTHER_RANKS_S = 5.0
"""How long a rank keeps its error to itself: mostly all have the same, and the launcher ends them with the first."""


def _report(error: UserError) -> None:
    refused = os.environ.get("MMDL_REFUSED")
    if refused and not isinstance(error, RunError):  # a batch script asks for it: srun hides the exit code
        with contextlib.suppress(OSError), open(refused, "w"):  # noqa: PTH123 - pathlib is not needed yet
            pass
    if int(os.environ.get("RANK") or os.environ.get("SLURM_PROCID") or "0"):
        time.sleep(OTHER_RANKS_S)
    if os.environ.get("MMDL_DEBUG") == "1":
        traceback.print_exception(error)
    many = isinstance(error, UserErrors) and len(error.errors) > 1
    print(str(error) if many else f"error: {error}", file=sys.stderr)


def _keep_signals(words: Sequence[str]) -> None:
    """Under a launcher, keep a scheduler's signals until `train` hears them: they would kill while it is imported."""
    launched = "SLURM_STEP_ID" in os.environ or "TORCHELASTIC_RUN_ID" in os.environ
    if launched and words[:1] == ["train"] and not {"-m", "--multirun", "-h", "--help"} & set(words):
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM))


def main() -> int:
    """Runs the command line of this process.

    Returns:
        0; 2 after a mistake of the user's; 130 after Ctrl-C; 141 where the reader of the output has gone; 138, 140 or
        143 where USR1, USR2 or TERM has stopped a training, which can be continued.
        A bug keeps its traceback and ends the process with 1.
    """
    _keep_signals(sys.argv[1:])
    try:
        code = dispatch(sys.argv[1:])
        sys.stdout.flush()
        return code
    except UserError as error:
        _report(error)
        return EXIT_USER_ERROR
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except Preempted as stop:
        if stop.advice:
            print(stop.advice, file=sys.stderr)
        return stop.exit_code
    except BrokenPipeError:
        # Python flushes stdout once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BROKEN_PIPE
    except OSError as error:
        from mmdl.cli.disk import disk_full

        full = disk_full(error)
        if full is None:
            raise
        _report(full)
        return EXIT_USER_ERROR


if __name__ == "__main__":
    sys.exit(main())

"""Runs `mmdl` in forked processes, with faults. A program of its own, started by the fixture `launch` of conftest.py.

It imports once what training needs, then forks the ranks of a run for every line of its input, which is a JSON object:
`words` of the command line, `folder` for output and runs, `ranks`, `patch` (a name in `patches/` and the arguments of
its `apply`, called in each rank before the run, or null), `environment`, `grace` (seconds that the other ranks get
once one has died) and `timeout`. Several ranks are started as torchrun does. The answer is a line with a JSON object:
`codes` of the ranks (negative: ended by a signal), `left` (whether processes of the run were left behind), `late`
(whether it ran into the timeout), `seconds`, and `cpu`: the seconds that each rank has computed.
"""

import atexit
import faulthandler
import gc
import importlib
import importlib.util
import json
import os
import signal
import socket
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path

MODULES = (
    *("lightning.pytorch", "sklearn.metrics", "torchmetrics", "torchvision", "open_clip"),
    *("mmdl.callbacks.preemption", "mmdl.commands.train", "mmdl.data.shapes_vqa", "mmdl.data.digits"),
    *("mmdl.data.shapes_captions", "mmdl.tasks.vqa", "mmdl.tasks.classification", "mmdl.tasks.contrastive"),
)


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def as_torchrun(rank, ranks, port):
    """What torchrun puts into the environment of a rank."""
    facts = {
        "RANK": rank,
        "LOCAL_RANK": rank,
        "WORLD_SIZE": ranks,
        "LOCAL_WORLD_SIZE": ranks,
        "GROUP_RANK": 0,
    }
    facts |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "TORCHELASTIC_RUN_ID": "none"}
    return {name: str(value) for name, value in facts.items()}


def apply_patch(name, arguments, rank):
    path = Path(__file__).with_name("patches") / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"patches_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.apply(rank=rank, **arguments)


def own_media_folder():
    """W&B makes one temporary folder at import, and the first process to end removes it."""
    private = sys.modules.get("wandb.sdk.data_types._private")
    if private is not None:
        private.MEDIA_TMP.name = tempfile.mkdtemp("wandb-media")


def run(case, rank, port):
    """One rank; returns its exit code."""
    folder = Path(case["folder"])
    suffix = f".{rank}" if rank else ""
    for stream, name in ((sys.stdout, "stdout"), (sys.stderr, "stderr")):
        stream.flush()
        with (folder / f"{name}{suffix}").open("w") as handle:
            os.dup2(handle.fileno(), stream.fileno())
    faulthandler.enable()
    if case["ranks"] > 1:
        os.environ.update(as_torchrun(rank, case["ranks"], port))
    os.environ.update(case["environment"])
    tempfile.tempdir = None  # where `$TMPDIR` says now
    os.chdir(folder)
    own_media_folder()
    if case["patch"]:
        apply_patch(*case["patch"], rank)
    from mmdl.__main__ import main

    sys.argv = ["mmdl", *case["words"]]
    return main()


def fork_rank(case, rank, port, group):
    child = os.fork()
    if child:
        os.setpgid(child, group or child)
        return child
    code = 1
    try:
        os.setpgid(0, group)
        code = run(case, rank, port)
    except SystemExit as end:
        code = end.code
    except BaseException:  # noqa: BLE001 - whatever it is, this process is a rank and ends here
        traceback.print_exc()
    # With the handlers of exit, as any run; taking all modules apart would only take time.
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code or 0)


def serve(case):
    began = time.monotonic()
    port = free_port()
    group, children, codes, cpu = 0, {}, {}, {}
    for rank in range(case["ranks"]):
        child = fork_rank(case, rank, port, group)
        group = group or child
        children[child] = rank
    end, late = began + case["timeout"], False
    while len(codes) < len(children):
        child, status, used = os.wait4(-1, os.WNOHANG)
        if child in children:
            cpu[children[child]] = used.ru_utime + used.ru_stime
            codes[children[child]] = os.waitstatus_to_exitcode(status)
            if codes[children[child]]:
                end = min(end, time.monotonic() + case["grace"])
            continue
        if time.monotonic() > end and not late:
            late = True
            signal_all(group, signal.SIGABRT)  # with stacks
            time.sleep(0.5 if case["grace"] else 0)
            signal_all(group, signal.SIGKILL)
        time.sleep(0.005)
    left = signal_all(group, signal.SIGKILL)
    return {
        "codes": [codes[rank] for rank in range(case["ranks"])],
        "left": left,
        "late": late,
        "seconds": time.monotonic() - began,
        "cpu": [cpu[rank] for rank in range(case["ranks"])],
    }


def signal_all(group, number):
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    for module in MODULES:
        importlib.import_module(module)
    from hydra.core.plugins import Plugins

    Plugins.instance()
    gc.collect()
    gc.freeze()  # what is shared with the forked processes stays shared
    for line in sys.stdin:
        print(json.dumps(serve(json.loads(line))), flush=True)
    os._exit(0)

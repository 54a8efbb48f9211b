"""Ranks agree on a signal at the same call, whichever got it. This file is the test and each rank's program."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import torch.distributed as dist

import mmdl

STEPS = 400


def _process(rank, folder):
    from mmdl.callbacks.preemption import Agreement
    from mmdl.runs.stop_signals import stop_signals

    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    agreement = Agreement(2)
    stopped, began = None, time.monotonic()
    with stop_signals.caught():
        stop_signals.hold()
        for step in range(STEPS):
            time.sleep(0.002 * (1 + rank))  # one rank is slower
            if step == 100:
                agreement.restart()
            if rank == 1 and step == 150:
                os.kill(os.getpid(), signal.SIGUSR1)
            found = agreement.signal(now=step == 120)
            if found is not None:
                stopped = (step, found.name)
                break
    result = {"stopped": stopped, "seconds": time.monotonic() - began}
    Path(folder, f"{rank}.json").write_text(json.dumps(result))
    dist.destroy_process_group()


def test_both_ranks_stop_at_the_same_step(tmp_path):
    package = str(Path(mmdl.__file__).parents[1])
    environment = os.environ | {"PYTHONPATH": package, "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen([sys.executable, __file__, str(rank), str(tmp_path)], env=environment)
        for rank in range(2)
    ]
    try:
        assert [process.wait(timeout=120) for process in processes] == [0, 0]
    finally:
        for process in processes:
            process.kill()
    one, two = (json.loads((tmp_path / f"{rank}.json").read_text())["stopped"] for rank in range(2))
    assert one == two
    assert one is not None
    assert one[1] == "SIGUSR1"
    assert 150 <= one[0] < STEPS


if __name__ == "__main__":
    _process(int(sys.argv[1]), sys.argv[2])

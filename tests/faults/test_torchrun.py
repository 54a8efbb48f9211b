"""Runs that torchrun starts: one folder, stopped and continued, a rank that dies, and two nodes."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.slow

WORDS = (
    *("train", "+experiment=vqa", "quick=true", "logger=none", "evaluator=[vqa_accuracy]"),
    *("trainer.max_epochs=2", "data.scenes_train=96", "data.eval_batch_size=20", "callbacks=[default,ema]"),
    *("trainer.log_every_n_steps=3", "model.dropout=0.1", "data.num_workers=1", "trainer.accelerator=cpu"),
)
TWO = (*WORDS, "trainer.devices=2")
PATCHES = Path(__file__).with_name("patches")

PROGRAM = f"""
import json, os, sys
if os.environ["TORCHELASTIC_RESTART_COUNT"] == "0":
    sys.path.insert(0, {str(PATCHES)!r})
    import signal_at
    signal_at.apply(rank=int(os.environ["RANK"]), **json.loads(os.environ["PATCH"]))
from mmdl.__main__ import main
sys.exit(main())
"""


def torchrun(folder, flags, words, patch=None):
    """Begin `torchrun FLAGS mmdl WORDS` in a folder, with `patches/signal_at.py` in its first attempt."""
    folder.mkdir(exist_ok=True)
    program = folder / "mmdl_with_faults.py"
    program.write_text(PROGRAM)
    script = [str(program)] if patch else ["-m", "mmdl"]
    environment = os.environ | {"PATCH": json.dumps(patch), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [shutil.which("torchrun", path=Path(sys.executable).parent), *flags, *script, *words],
        cwd=folder,
        env={name: value for name, value in environment.items() if name != "MMDL_RUN_ID"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def end(process):
    """Exit code and output."""
    output = process.communicate(timeout=900)[0]
    return process.returncode, output


def only_run(folder):
    (run,) = (folder / "runs").iterdir()
    assert json.loads((run / "status.json").read_text())["status"] == "finished"
    return run


def check(stopping, run):
    """What two ranks leave that nothing happens to."""
    expected = stopping.whole((*TWO, "run.id=r"), 2)
    weights, *rest = stopping.read_run(run)
    assert [name for name, value in expected[0].items() if not torch.equal(value, weights[name])] == []
    assert rest == list(expected[1:4])


@pytest.fixture
def master():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return "--master-addr=127.0.0.1", f"--master-port={found.getsockname()[1]}"


def test_term_to_the_agent_saves_and_the_same_command_goes_on(stopping, tmp_path):
    flags = ("--nproc-per-node=2", "--rdzv-backend=c10d", "--rdzv-endpoint=127.0.0.1:0", "--rdzv-id=job-7")
    code, output = end(torchrun(tmp_path, flags, TWO, {"moment": "step", "parent": True}))
    assert code != 0
    run = tmp_path / "runs" / "torchrun-job-7"
    assert json.loads((run / "status.json").read_text())["status"] == "preempted", output
    assert "stopped by SIGTERM; to continue: python -m mmdl train resume=torchrun-job-7" in output
    code, output = end(torchrun(tmp_path, flags, TWO))
    assert code == 0, output
    assert "resuming     at step" in output
    assert only_run(tmp_path) == run
    check(stopping, run)


def test_a_rank_that_dies_is_started_again_and_nothing_is_named_twice(stopping, tmp_path, master):
    """Without --rdzv-id, where the ranks agree on a name, and a second attempt finds it."""
    flags = ("--nnodes=1", "--nproc-per-node=2", *master, "--max-restarts=1")
    dies = {"moment": "step", "number": "SIGKILL", "on_rank": 1}
    code, output = end(torchrun(tmp_path, flags, (*TWO, "callbacks.checkpoints.every_steps=4"), dies))
    assert code == 0, output
    assert "resuming     at step 8" in output
    run = only_run(tmp_path)
    assert re.fullmatch(r"\d{8}-\d{6}-vqa-[0-9a-f]{4}", run.name)
    check(stopping, run)


def test_two_nodes(stopping, tmp_path, master):
    nodes = []
    for node in (1, 0):
        flags = ("--nnodes=2", f"--node-rank={node}", "--nproc-per-node=1", *master)
        nodes.append(torchrun(tmp_path, flags, (*WORDS, "trainer.devices=1", "trainer.num_nodes=2")))
    for code, output in map(end, nodes):
        assert code == 0, output
    check(stopping, only_run(tmp_path))

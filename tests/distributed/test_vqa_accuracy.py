"""VQA accuracy on two processes equals one process. This file is the test and the program of each process."""

import json
import os
import subprocess
import sys
from pathlib import Path

import torch.distributed as dist

import mmdl
from mmdl.metrics.vqa_accuracy import VQAAccuracy

_COLORS = ["red", "blue", "green"]


def _rows(n):
    """`n` questions; the last ones have types that the first ones don't have."""
    for i in range(n):
        answers = [_COLORS[(i * i + j * j // 3) % 3] for j in range(10)]
        yield _COLORS[i % 3], answers, "other" if i < 7 else "color, é", "" if i < 4 else f"what {i % 3}"


def _figures(rows):
    metric = VQAAccuracy()
    for row in rows:
        metric.update(*[[value] for value in row])
    # Twice: the gathering must leave each process its own questions.
    first = metric.compute()
    metric.update([], [])
    assert metric.compute() == first
    return first


def _process(rank, folder):
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    rows = list(_rows(23))
    results = {
        "uneven": _figures(rows[:5] if rank == 0 else rows[5:]),
        "alternating": _figures(rows[rank::2]),
        "one process has none": _figures([] if rank == 0 else rows),
    }
    Path(folder, f"{rank}.json").write_text(json.dumps(results))
    dist.destroy_process_group()


def test_two_processes_equal_one(tmp_path):
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
    expected = json.loads(json.dumps(_figures(_rows(23))))
    assert expected["overall"][1] == 23
    assert len(expected) == 6
    for rank in range(2):
        results = json.loads((tmp_path / f"{rank}.json").read_text())
        assert results == dict.fromkeys(["uneven", "alternating", "one process has none"], expected)


if __name__ == "__main__":
    _process(int(sys.argv[1]), sys.argv[2])

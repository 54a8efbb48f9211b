"""A training step of two ranks (gloo, CPU): DDP as mmdl sets it up beside DDP as Lightning does by default.

    python benchmarks/ddp_step.py [rounds]

Both arms step in turns in the same processes; the figure to quote is the ratio of medians. The peak of the memory is
that of a process that has one arm only.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

RANKS, WIDTH, DEPTH, ROWS = 2, 1024, 8, 16
STEPS = 4
"""Of an arm, before the other has its turn."""
ARMS: dict[str, dict[str, Any]] = {
    "Lightning's default": {},
    "mmdl": {"static_graph": True, "gradient_as_bucket_view": True},
}


def build(arm: str) -> tuple[DistributedDataParallel, torch.optim.Optimizer]:
    """A network with batch norms, whose buffers plain DDP sends in every step."""
    torch.manual_seed(0)
    layers = [nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.BatchNorm1d(WIDTH), nn.ReLU()) for _ in range(DEPTH)]
    model = DistributedDataParallel(nn.Sequential(*layers), **ARMS[arm])
    if arm == "mmdl":
        model.broadcast_buffers = False  # as mmdl.strategies.ddp
    return model, torch.optim.SGD(model.parameters(), lr=1e-3)


def step(model: DistributedDataParallel, optimizer: torch.optim.Optimizer, values: Tensor) -> float:
    """Seconds of one step."""
    began = time.perf_counter()
    optimizer.zero_grad(set_to_none=True)
    model(values).square().mean().backward()
    optimizer.step()
    return time.perf_counter() - began


def peak() -> float:
    """MB of main memory that this process has held at most."""
    status = Path("/proc/self/status").read_text()
    return float(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024


def work(rank: int, arms: list[str], rounds: int, store: str) -> tuple[dict[str, float], float]:
    """One rank with some arms: median seconds by arm, and the peak."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=RANKS)
    values = torch.randn(ROWS, WIDTH)
    made = {arm: build(arm) for arm in arms}
    times: dict[str, list[float]] = {arm: [] for arm in arms}
    for arm in arms:
        step(*made[arm], values)
        step(*made[arm], values)
    for _ in range(rounds):
        for arm in arms:
            times[arm] += [step(*made[arm], values) for _ in range(STEPS)]
    return {arm: statistics.median(own) for arm, own in times.items()}, peak()


def measured(arms: list[str], rounds: int) -> tuple[dict[str, float], float]:
    """What the first of the ranks has measured."""
    with tempfile.TemporaryDirectory() as folder:
        words = [str(rounds), f"{folder}/store", *arms]
        ranks = [
            subprocess.Popen([sys.executable, __file__, "--rank", str(rank), *words], stdout=subprocess.PIPE)
            for rank in range(RANKS)
        ]
        texts = [rank.communicate()[0] for rank in ranks]
    times, most = json.loads(texts[0])
    return times, most


def main() -> None:
    if sys.argv[1:2] == ["--rank"]:
        rank, rounds, store = int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
        print(json.dumps(work(rank, sys.argv[5:], rounds, store)), flush=True)
        os._exit(0)  # without waiting for the group's threads
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    times, _ = measured(list(ARMS), rounds)
    peaks = {arm: measured([arm], 1)[1] for arm in ARMS}
    base = next(iter(ARMS))
    for arm, seconds in times.items():
        print(
            f"{arm:20} {1000 * seconds:8.1f} ms a step  {seconds / times[base]:5.2f} x  "
            f"peak {peaks[arm]:6.0f} MB  ({peaks[arm] - peaks[base]:+.0f} MB)"
        )
    gradients = DEPTH * (WIDTH * WIDTH + 3 * WIDTH) * 4 / 2**20
    print(f"the gradients are {gradients:.0f} MB")


if __name__ == "__main__":
    main()

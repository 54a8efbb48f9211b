"""What encoding each image once is worth: training steps grouped by image, ungrouped, and on cached features.

    python benchmarks/image_encoding.py [steps]

The three arms take turns in one process on the same questions; the figure to quote is the ratio of medians.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch

from mmdl.assembly import build_data, build_task
from mmdl.cli.app import compose
from mmdl.data.shapes_vqa import write_fixture
from mmdl.feature_caching import cache_frozen_towers

ARMS = {
    "ungrouped": ["data.group_by_image=false"],
    "grouped": [],
    "cached": ["task.freeze=[image_tower*]"],
}


def make(arm: str, fixture: list[str]):
    """A step function of one arm."""
    cfg = compose("train", ["+experiment=vqa", *fixture, "data.min_answer_count=1", *ARMS[arm]]).copy()
    torch.manual_seed(0)
    data = build_data(cfg)
    task = build_task(cfg)
    if arm == "cached":
        cache_frozen_towers(task, data, torch.device("cpu"))
    optimizer, _ = task.build_optimizer(1000)
    batches = list(data.loader("train"))

    def step(number: int) -> float:
        batch = batches[number % len(batches)]
        began = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16):
            loss = task.losses(batch)["loss"]
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return len(batch["rows"]) / (time.perf_counter() - began)

    return step


def main() -> None:
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    with tempfile.TemporaryDirectory() as folder:
        fixture = [f"{key}={value}" for key, value in write_fixture(Path(folder)).items()]
        arms = {arm: make(arm, fixture) for arm in ARMS}
        rates: dict[str, list[float]] = {arm: [] for arm in arms}
        for number in range(steps + 5):
            for arm, step in arms.items():
                rate = step(number)
                if number >= 5:
                    rates[arm].append(rate)
    base = statistics.median(rates["ungrouped"])
    for arm, values in rates.items():
        median = statistics.median(values)
        print(f"{arm:10} {median:8.0f} questions/s   x{median / base:.2f}")


if __name__ == "__main__":
    main()

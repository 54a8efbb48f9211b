"""The page of a review of many long runs: seconds to write it, its size, and seconds until a browser has drawn it.

    python benchmarks/review_page.py [--runs 50] [--points 10000] [--quantities 40]

The runs have no predictions: what is measured is reading, thinning and drawing of curves. The browser is the system's
Chromium, driven by playwright; without one its rows are left out.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from mmdl.review.model import Review
from mmdl.review.page.render import write_page
from mmdl.review.reading import read_run

DIFFERENT = 5
"""Runs whose figures differ; the others are copies of their files."""


def lines(seed: int, points: int, quantities: int) -> Iterator[str]:
    """Of one metrics file: noise around a falling curve, with all digits."""
    chance = random.Random(seed)
    for point in range(points):
        row = {"step": 20 * point, "time": 1.79e9 + 1.7 * point}
        row |= {f"train/part_{n}": 1 / (1 + point / 500) + 0.1 * chance.random() for n in range(quantities)}
        yield json.dumps(row) + "\n"


def make_runs(root: Path, runs: int, points: int, quantities: int) -> list[Path]:
    """Run folders with curves and a status only."""
    folders = [root / f"run-{number:03}" for number in range(runs)]
    for number, folder in enumerate(folders):
        folder.mkdir()
        if number < DIFFERENT:
            (folder / "metrics.jsonl").write_text("".join(lines(number, points, quantities)))
        else:
            shutil.copy(folders[number % DIFFERENT] / "metrics.jsonl", folder)
        (folder / "status.json").write_text(
            json.dumps({"status": "finished", "name": "run", "monitor": "train/part_0"})
        )
    return folders


def in_browser(path: Path) -> dict[str, float]:
    """Seconds until the page is loaded, until its first charts are drawn, and for smoothing them."""
    from playwright.sync_api import sync_playwright

    found = next((p for name in ("chromium", "google-chrome") if (p := shutil.which(name))), None)
    if found is None:
        return {}
    with sync_playwright() as driver:
        page = driver.chromium.launch(executable_path=found, args=["--no-sandbox"]).new_page()
        began = time.perf_counter()
        page.goto(path.as_uri())
        times = {"load": time.perf_counter() - began}
        began = time.perf_counter()
        page.evaluate("location.hash = 'curves'")
        page.locator(".panel-cell canvas").nth(3).wait_for()
        times["first charts"] = time.perf_counter() - began
        began = time.perf_counter()
        page.locator("[data-control=smoothing]").fill("0.9")
        page.evaluate("new Promise(requestAnimationFrame)")
        times["smoothing of all"] = time.perf_counter() - began
        return times


def main() -> None:
    """Measure once, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, value in (("runs", 50), ("points", 10_000), ("quantities", 40)):
        parser.add_argument(f"--{name}", type=int, default=value)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folders = make_runs(Path(folder), arguments.runs, arguments.points, arguments.quantities)
        began = time.perf_counter()
        page = write_page(
            Review([read_run(path) for path in folders], made="now"), Path(folder) / "review.html"
        )
        seconds = time.perf_counter() - began
        print(f"{arguments.runs} runs of {arguments.points:,} points of {arguments.quantities} quantities")
        print(f"{'written in':20}{seconds:8.2f} s")
        print(f"{'size':20}{page.stat().st_size / 1e6:8.2f} MB")
        print(f"{'most memory':20}{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:8.0f} MiB")
        for name, value in in_browser(page).items():
            print(f"{name:20}{value:8.2f} s")


if __name__ == "__main__":
    main()

"""The served list of 200 runs of 10,000 points, and 10 curves laid over each other, beside TensorBoard.

    python benchmarks/review_serve.py [--runs 200] [--points 10000] [--repeats 5] [--no-tensorboard]

Each run logs 12 quantities in 10,000 lines, and 100 validations; nine of ten have finished, one is in progress. Both
servers read equal figures from files that lie in the page cache, and are asked over HTTP. Medians in seconds:

- `from the command`: from the start of the command until the list of runs holds all of them, and then until the 10
  curves are there to their last point (imports of Python included; TensorBoard reads in the background).
- `cold`: the first answer of a server that has just said its address.
- `warm`: an answer when nothing has changed; `grown`: when each run has one more line.

TensorBoard keeps a random sample of 1,000 points of each curve; mmdl keeps all, and thins what it sends with the least
and the greatest of each stretch. The parts below a line measure the readers alone, in this process.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

QUANTITIES = [
    *("train/loss", "train/grad_norm", "train/learning_rate", "train/samples_per_s", "train/data_wait_share"),
    *("train/flops_share", "train/accuracy", "train/temperature", "train/logit_scale", "memory/peak_gb"),
    *("epoch", "trainer/global_step"),
]
DIFFERENT = 10
"""Runs whose figures differ; the others are copies of their files."""
OVERLAY = 10

CONFIG = """name: clip
seed: {seed}
monitor:
  name: val/recall
  mode: max
data:
  _target_: mmdl.data.captions.captions
trainer:
  max_epochs: 20
  max_steps: -1
"""


def figures(seed: int, points: int) -> Iterator[dict[str, Any]]:
    """Lines of one run, and of a validation after each 100: noise around a curve that falls, with all its digits."""
    chance = random.Random(seed)
    for point in range(points):
        row = {"step": 20 * point, "time": 1795870000.0 + round(1.7 * point, 3)}
        for place, name in enumerate(QUANTITIES[:-2]):
            row[name] = place + math.exp(-point / 3000) + 0.1 * chance.random()
        yield row | {"epoch": point // 500, "trainer/global_step": 20 * point}
        if point % 100 == 99:
            yield {key: row[key] for key in ("step", "time")} | {
                "val/recall": row["train/accuracy"],
                "n": {"val/recall": 5000},
            }


def make_runs(root: Path, runs: int, points: int) -> None:
    """Run folders as mmdl leaves them."""
    for number in range(runs):
        run = root / f"20261128-{number:06d}-clip"
        run.mkdir(parents=True)
        if number < DIFFERENT:
            lines = (json.dumps(row) + "\n" for row in figures(number, points))
            (run / "metrics.jsonl").write_text("".join(lines))
        else:
            shutil.copy(root / f"20261128-{number % DIFFERENT:06d}-clip" / "metrics.jsonl", run)
        state = "running" if number % 10 == 0 else "finished"
        status = {"status": state, "pid": 1, "host": "another", "name": "clip", "monitor": "val/recall"}
        summary = {f"test/recall@{k}": {"value": k / 20, "n": 5000, "ci95": [0, 1]} for k in range(1, 40)}
        summary["best/val/recall"] = {"value": 0.5}
        (run / "config.yaml").write_text(CONFIG.format(seed=number) + "model:\n" + "  a: 1\n" * 150)
        (run / "status.json").write_text(json.dumps(status))
        (run / "manifest.json").write_text(json.dumps({"started": "2026-11-28T12:00:00+0000"}))
        if state == "finished":
            (run / "summary.json").write_text(json.dumps(summary))


def make_events(root: Path, runs: int, points: int) -> None:
    """The same figures as TensorBoard's event files."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    for number in range(runs):
        run = root / f"20261128-{number:06d}-clip"
        if number >= DIFFERENT:
            shutil.copytree(root / f"20261128-{number % DIFFERENT:06d}-clip", run)
            continue
        writer = EventFileWriter(str(run), max_queue_size=100_000)
        for row in figures(number, points):
            values = [
                Summary.Value(tag=name, simple_value=value)
                for name, value in row.items()
                if name not in ("step", "time", "n")
            ]
            writer.add_event(
                Event(wall_time=row["time"], step=int(row["step"]), summary=Summary(value=values))
            )
        writer.close()


def ask(address: str) -> Any:
    """The JSON at an address; None without an answer."""
    with suppress(OSError, ValueError), urllib.request.urlopen(address, timeout=120) as answer:
        return json.load(answer)
    return None


def took(call: Callable[[], Any]) -> float:
    """Seconds of a call."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def until(condition: Callable[[], bool], since: float) -> float:
    """Seconds from a moment until a condition holds."""
    while not condition():
        time.sleep(0.02)
    return time.perf_counter() - since


@contextmanager
def started(words: list[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A server that is ended afterwards."""
    process = subprocess.Popen(words, text=True, stderr=subprocess.DEVNULL, **options)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def names(root: Path) -> list[str]:
    """The runs that are laid over each other, of which none is in progress: cold means that nobody has read them."""
    return [path.name for number, path in enumerate(sorted(root.iterdir())) if number % 10][:OVERLAY]


def of_mmdl(root: Path, points: int) -> dict[str, float]:
    """Times of one server of ours."""
    began = time.perf_counter()
    query = urllib.parse.urlencode([("run", name) for name in names(root)] + [("name", "train/loss")])
    total = len(list(root.iterdir()))
    with started(
        [sys.executable, "-m", "mmdl", "review", "--serve", "--root", str(root)], stdout=subprocess.PIPE
    ) as one:
        assert one.stdout is not None
        found = re.search(r"http://\S+", one.stdout.readline())
        assert found
        times, url = {}, found[0]
        times["list, cold"] = took(lambda: ask(f"{url}/api/runs"))
        times["list, from the command"] = time.perf_counter() - began
        assert len(ask(f"{url}/api/runs")["rows"]) == total
        curves = f"{url}/api/curves?{query}"
        times["overlay, cold"] = took(lambda: ask(curves))
        times["overlay, from the command"] = time.perf_counter() - began
        answer = ask(curves)
        assert [curve["steps"][-1] for curve in answer["curves"]] == [20 * (points - 1)] * OVERLAY
        times["overlay, warm"] = statistics.median(took(lambda: ask(curves)) for _ in range(10))
        warm = []
        for _ in range(5):
            time.sleep(0.6)  # an older list than that is made anew
            warm.append(took(lambda: ask(f"{url}/api/runs")))
        times["list, warm"] = statistics.median(warm)
        line = (json.dumps(next(figures(0, 1)) | {"step": 20 * points}) + "\n").encode()
        kept = {path: path.stat().st_size for path in root.glob("*/metrics.jsonl")}
        for path in kept:
            with path.open("ab") as handle:
                handle.write(line)
        time.sleep(0.6)
        times["list, grown"] = took(lambda: ask(f"{url}/api/runs"))
        times["overlay, grown"] = took(lambda: ask(curves))
        for path, size in kept.items():
            with path.open("r+b") as handle:
                handle.truncate(size)
    return times


def of_tensorboard(root: Path, points: int) -> dict[str, float]:
    """Times of one server of TensorBoard's."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url, total = f"http://127.0.0.1:{port}", len(list(root.iterdir()))
    chosen = names(root)
    form = urllib.parse.urlencode([("tag", "train/loss"), *[("runs", name) for name in chosen]]).encode()

    def listed() -> bool:
        return len(ask(f"{url}/data/runs") or ()) == total

    def curves() -> dict[str, Any]:
        request = f"{url}/data/plugin/scalars/scalars_multirun"
        with suppress(OSError, ValueError), urllib.request.urlopen(request, form, timeout=120) as answer:
            found: dict[str, Any] = json.load(answer)
            return found
        return {}

    def whole() -> bool:
        found = curves()
        return len(found) == OVERLAY and all(curve[-1][1] == 20 * (points - 1) for curve in found.values())

    began = time.perf_counter()
    words = [sys.executable, "-m", "tensorboard.main", "--logdir", str(root), "--port", str(port)]
    with started(words, stdout=subprocess.DEVNULL):
        times = {
            "list, from the command": until(listed, began),
            "overlay, from the command": until(whole, began),
        }
        times["list, warm"] = statistics.median(took(listed) for _ in range(5))
        times["overlay, warm"] = statistics.median(took(curves) for _ in range(10))
    return times


def readers(root: Path) -> dict[str, float]:
    """Seconds for the curves of 10 runs in this process: ours, line by line, and TensorBoard's reader is beside it."""
    from mmdl.review import curves
    from mmdl.review.curve_lines import parsed, parsed_plainly

    paths = [root / name / "metrics.jsonl" for name in names(root)]
    times = {}
    for label, way in (("mmdl", parsed), ("line by line", parsed_plainly)):
        curves.parsed = way
        times[label] = took(lambda: [curves.CurveReader(path).read() for path in paths])
    curves.parsed = parsed
    return times


def tensorboard_reader(root: Path) -> float:
    """Seconds for all points of 10 runs with TensorBoard's reader in Python."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    return took(lambda: [EventAccumulator(str(root / name), {"scalars": 0}).Reload() for name in names(root)])


def main() -> None:
    """Measure the arms in turns, and print medians."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--points", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--no-tensorboard", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = Path(folder, "runs"), Path(folder, "events")
        make_runs(ours, arguments.runs, arguments.points)
        arms: dict[str, Callable[[], dict[str, float]]] = {"mmdl": lambda: of_mmdl(ours, arguments.points)}
        parts: dict[str, Callable[[], dict[str, float]]] = {"": lambda: readers(ours)}
        if not arguments.no_tensorboard:
            make_events(theirs, arguments.runs, arguments.points)
            arms["TensorBoard"] = lambda: of_tensorboard(theirs, arguments.points)
            parts["TensorBoard"] = lambda: {"TensorBoard, in Python": tensorboard_reader(theirs)}
        found: dict[str, list[dict[str, float]]] = {name: [] for name in arms}
        alone: list[dict[str, float]] = []
        for _ in range(arguments.repeats):
            for name, measure in arms.items():
                found[name].append(measure())
            alone.append({label: value for part in parts.values() for label, value in part().items()})
    medians = {
        name: {k: statistics.median(r[k] for r in rounds) for k in rounds[0]}
        for name, rounds in found.items()
    }
    print(f"{arguments.runs} runs of {arguments.points:,} points, {OVERLAY} laid over each other; seconds")
    print(
        f"{'':28}"
        + "".join(f"{name:>14}" for name in medians)
        + ("         ratio" if len(medians) > 1 else "")
    )
    for label in medians["mmdl"]:
        values = [times.get(label) for times in medians.values()]
        ratio = f"{values[1] / values[0]:13.1f}x" if len(values) > 1 and values[0] and values[1] else ""
        print(f"{label:28}" + "".join(f"{'' if v is None else f'{v:.3f}':>14}" for v in values) + ratio)
    print(f"\nall curves of {OVERLAY} runs, by the readers alone")
    base = statistics.median(one["mmdl"] for one in alone)
    for label in alone[0]:
        value = statistics.median(one[label] for one in alone)
        print(f"{label:28}{value:14.3f}{value / base:13.1f}x")


if __name__ == "__main__":
    main()

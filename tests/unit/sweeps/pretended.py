"""Pretends to be `mmdl train`, in 0.1 s: leaves a run folder as a training does. Given to the sweep as its program.

What a run shall do stands in `plan.json` in the current folder: run id -> {"steps", "wait", "fail", "kill",
"refuse"}; a number counts the starts for which it holds, and who is to wait has its last step when there is a file
`go`. Every start is noted in `starts.jsonl`.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

STEP_S = 0.03
stopped = []


def write(path, value):
    temporary = path.with_name(f".tmp-{path.name}")
    temporary.write_text(json.dumps(value))
    temporary.replace(path)


def value_of(words):
    """What training would come to: depends on the settings only."""
    given = dict(word.split("=", 1) for word in words if "=" in word)
    rate = float(given.get("optimizer.lr", 0.01))
    return 1.0 / (1.0 + abs(rate - 0.01) * 100) - 0.01 * int(given.get("seed", 0))


def main():
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        signal.signal(number, lambda number, frame: stopped.append(number))
    words = sys.argv[2:]
    given = dict(word.split("=", 1) for word in words if "=" in word)
    run_id = given.get("run.id") or given["resume"]
    folder = Path(given.get("run.root", "runs")) / run_id
    environment = {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "RANK", "CUDA_VISIBLE_DEVICES")}
    with Path("starts.jsonl").open("a") as handle:
        handle.write(json.dumps({"run": run_id, "words": words, "environment": environment}) + "\n")
    plan = json.loads(Path("plan.json").read_text()).get(run_id, {}) if Path("plan.json").is_file() else {}
    starts = [json.loads(line)["run"] for line in Path("starts.jsonl").read_text().splitlines()].count(run_id)
    if starts <= plan.get("refuse", 0):
        Path(os.environ["MMDL_REFUSED"]).touch()
        print("error: there is no such file", file=sys.stderr)
        return 2
    folder.mkdir(parents=True, exist_ok=True)
    if "resume" in given:
        words = json.loads((folder / "words.json").read_text())
    else:
        write(folder / "words.json", words)
    write(folder / "config.yaml", {"seed": 0})
    write(folder / "status.json", {"status": "running", "pid": os.getpid()})
    step = int((folder / "checkpoint").read_text()) if (folder / "checkpoint").exists() else 0
    value, steps = value_of(words), plan.get("steps", 2)
    while step < steps and not stopped:
        time.sleep(STEP_S)
        if plan.get("wait") and step == steps - 1 and not Path("go").exists():
            continue
        step += 1
        with (folder / "metrics.jsonl").open("a") as handle:
            handle.write(json.dumps({"step": step, "val/accuracy": value * step / steps}) + "\n")
        (folder / "checkpoint").write_text(str(step))
        if starts <= plan.get("kill", 0):
            os.kill(os.getpid(), signal.SIGKILL)
        if starts <= plan.get("fail", 0):
            print("error: the loss is not finite", file=sys.stderr)
            write(folder / "status.json", {"status": "failed", "pid": os.getpid()})
            return 2
    if stopped:
        write(folder / "status.json", {"status": "preempted", "pid": os.getpid()})
        return 128 + stopped[0]
    figure = {"value": value, "n": 100, "ci95": [value - 0.1, value + 0.1]}
    summary = {"best/val/accuracy": {"value": value}, "test/accuracy": figure}
    write(folder / "summary.json", summary if not plan.get("no_value") else {})
    write(folder / "status.json", {"status": "finished", "pid": os.getpid(), "monitor": "val/accuracy"})
    return 0


if __name__ == "__main__":
    sys.exit(main())

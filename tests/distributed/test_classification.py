"""Two ranks on the CPU give the figures of one process: every sample once, whatever the batches."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mmdl.data.mnist import write_fixture


def _mmdl(folder, *words):
    done = subprocess.run(
        [sys.executable, "-m", "mmdl", *words],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def run(tmp_path_factory, data_home):
    """A run of two ranks: 40 test images in batches of 7, so that the last global batch is uneven."""
    folder = tmp_path_factory.mktemp("ddp")
    data = [f"{key}={value}" for key, value in write_fixture(folder / "data").items()]
    _mmdl(
        folder,
        *("train", "+experiment=mnist", "quick=true", "logger=none", "run.id=ddp", *data),
        *("trainer.devices=2", "trainer.accelerator=cpu"),
        *("data.batch_size=16", "data.eval_batch_size=7"),
    )
    return folder / "runs" / "ddp"


@pytest.fixture(scope="module")
def one_process(run, run_command, tmp_path_factory):
    """What one process makes of the same weights."""
    output = tmp_path_factory.mktemp("one")
    run_command(
        "eval",
        "run=ddp",
        f"root={run.parent}",
        f"output={output}",
        "+trainer.devices=1",
    )
    return output


def _files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_test_of_two_ranks_equals_one_process_bit_for_bit(run, one_process):
    summary = json.loads((run / "summary.json").read_text())
    expected = {n: figure for n, figure in summary.items() if n.startswith(("test/", "baseline/"))}
    figures = json.loads((one_process / "evaluation" / "test" / "figures.json").read_text())
    # The loss is a mean over batches, taken on each rank: sums in another order.
    assert figures.pop("test/loss")["value"] == pytest.approx(expected.pop("test/loss")["value"], rel=1e-6)
    assert figures == expected
    assert len(figures) > 90
    assert all(figure["n"] == 40 for figure in figures.values())
    theirs, ours = _files(run / "evaluation/test"), _files(one_process / "evaluation/test")
    del ours[Path("figures.json")]
    assert ours == theirs
    first = (run / "predictions" / "test.jsonl").read_text()
    assert (one_process / "test.jsonl").read_text() == first


def test_no_sample_is_counted_twice(run):
    summary = json.loads((run / "summary.json").read_text())
    rows = [json.loads(line) for line in (run / "predictions" / "test.jsonl").read_text().splitlines()]
    assert len({row["id"] for row in rows}) == len(rows) == 40
    assert summary["test/accuracy"]["value"] == sum(row["correct"] for row in rows) / 40
    assert sum(summary[f"test/{name}/class/3"]["value"] for name in ("tp", "fp", "fn", "tn")) == 40
    assert [p.name for p in run.parent.iterdir()] == ["ddp"]


@pytest.mark.slow
def test_eval_on_two_ranks_equals_one_process(run, one_process, tmp_path):
    _mmdl(
        run.parents[1],
        *("eval", "run=ddp", f"output={tmp_path}"),
        "+trainer.devices=2",
    )
    ours, theirs = _files(tmp_path), _files(one_process)
    [figures] = [path for path in ours if path.name == "figures.json"]
    ours, theirs = ours | {figures: b""}, theirs | {figures: b""}
    assert ours == theirs
    first, second = (json.loads((f / figures).read_text()) for f in (tmp_path, one_process))
    assert {n: f for n, f in first.items() if n != "test/loss"} == {
        n: f for n, f in second.items() if n != "test/loss"
    }

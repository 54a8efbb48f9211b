"""Retrieval, zero-shot and geometry of two ranks on the CPU are those of one process, from uneven batches."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SETS = [
    "evaluator=[retrieval,zero_shot,embedding_geometry,knn,linear_probe]",
    "evaluator.retrieval.fold_size=10",
    *(f"+data@evaluator.{name}.sets.look.data=shapes_objects" for name in ("knn", "linear_probe")),
    "evaluator.linear_probe.features=embedding",
]


@pytest.fixture(scope="module")
def run(tmp_path_factory, data_home):
    """A run of two ranks: 27 test images of five captions in batches of 4."""
    folder = tmp_path_factory.mktemp("ddp")
    words = [
        *("train", "+experiment=clip", "quick=true", "logger=none", "run.id=ddp", *SETS),
        *("trainer.devices=2", "trainer.accelerator=cpu"),
        *("data.scenes_val=11", "data.scenes_test=27", "data.eval_batch_size=4", "data.eval_captions=null"),
        "evaluator.zero_shot.sets.shape.data.objects_test=300",
    ]
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
    return folder / "runs" / "ddp"


@pytest.fixture(scope="module")
def one_process(run, run_command, tmp_path_factory):
    """Figures that one process makes of the same weights."""
    output = tmp_path_factory.mktemp("one")
    alone = ("+trainer.devices=1",)
    run_command("eval", "run=ddp", f"root={run.parent}", f"output={output}", *alone)
    return json.loads((output / "evaluation" / "test" / "figures.json").read_text())


def test_two_ranks_equal_one_process(run, one_process):
    summary = json.loads((run / "summary.json").read_text())
    theirs = {name: figure for name, figure in summary.items() if name.startswith(("test/", "baseline/"))}
    assert theirs.keys() == one_process.keys()
    for name, figure in theirs.items():
        # an image that is encoded among others may differ in its last bit: what counts hits must not
        exact = "recall" in name or "rank" in name.rpartition("/")[2] or "accuracy" in name
        tolerance = 0 if exact and "effective" not in name else 1e-5
        assert one_process[name]["value"] == pytest.approx(figure["value"], rel=tolerance, abs=tolerance), (
            name
        )
        assert one_process[name]["n"] == figure["n"], name
    counts = {
        name: summary[f"test/{name}"]["n"] for name in ("text_to_image/recall@1", "image_to_text/recall@1")
    }
    assert counts == {"text_to_image/recall@1": 135, "image_to_text/recall@1": 27}
    assert summary["test/10/text_to_image/recall@1"]["n"] == 100, "two whole folds of ten images"
    assert summary["test/zero_shot/shape/accuracy"]["n"] == 64


def test_every_evaluator_ran(one_process):
    wanted = ("zero_shot/colour/accuracy", "knn/look/accuracy", "linear_probe/look/accuracy", "modality_gap")
    assert {f"test/{name}" for name in wanted} <= one_process.keys()


def test_no_second_folder(run):
    assert [path.name for path in Path(run.parent).iterdir()] == ["ddp"]

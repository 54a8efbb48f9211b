"""The classifier from the command to the run folder: same bits for one seed, exact resume, eval, predict."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from mmdl.data.mnist import write_fixture
from mmdl.data.readers.idx import read_idx

QUICK = (
    "+experiment=mnist",
    "quick=true",
    "logger=none",
    "trainer.max_epochs=3",
    "data.batch_size=32",
    "data.val_share=0.2",
    "data.eval_batch_size=7",
)


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mnist")
    return [f"{key}={value}" for key, value in write_fixture(folder).items()]


@pytest.fixture(scope="module")
def run(tmp_path_factory, run_command, digits):
    root = tmp_path_factory.mktemp("runs")
    run_command("train", *QUICK, *digits, f"run.root={root}", "run.id=one", "trainer.max_epochs=8")
    return root / "one"


def weights(root, run_id):
    return load_file(root / run_id / "checkpoints" / "final.safetensors")


def assert_equal(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


def test_it_learns_and_says_what_is_known(run):
    summary = json.loads((run / "summary.json").read_text())
    assert summary["test/accuracy"]["value"] > 0.6 > 2 * summary["baseline/most_common/accuracy"]["value"]
    assert summary["test/accuracy"]["n"] == 40
    low, high = summary["test/accuracy"]["ci95"]
    assert low < summary["test/accuracy"]["value"] < high
    config = (run / "config.yaml").read_text()
    for line in ("num_classes: 10", "channels: 1", "image_size: 28"):
        assert line in config


def test_predictions_agree_with_the_score(run):
    rows = [json.loads(line) for line in (run / "predictions" / "test.jsonl").read_text().splitlines()]
    summary = json.loads((run / "summary.json").read_text())
    assert [row["id"] for row in rows] == [f"test/{n}" for n in range(40)]
    assert np.mean([row["correct"] for row in rows]) == pytest.approx(summary["test/accuracy"]["value"])
    assert all(row["correct"] == (row["label"] == row["prediction"]) for row in rows)


def test_one_seed_gives_the_same_run_and_another_does_not(tmp_path, run_command, digits):
    for run_id, seed in (("a", 0), ("b", 0), ("c", 1)):
        run_command("train", *QUICK, *digits, f"run.root={tmp_path}", f"run.id={run_id}", f"seed={seed}")
    assert_equal(weights(tmp_path, "a"), weights(tmp_path, "b"))
    one, other = weights(tmp_path, "a"), weights(tmp_path, "c")
    assert any(not torch.equal(one[name], other[name]) for name in one)
    # another seed changes order and weights, never which images are held out
    splits = [json.loads((tmp_path / i / "manifest.json").read_text())["data"] for i in "ac"]
    assert splits[0] == splits[1]


@pytest.mark.parametrize("step", [2, 3, 4])
def test_resuming_equals_not_having_stopped(tmp_path, run_command, digits, monkeypatch, step):
    from mmdl.callbacks.train_log import TrainLog

    flips = ("augment@data.augment=[flip]", "model.dropout=0.3")
    run_command("train", *QUICK, *digits, *flips, f"run.root={tmp_path}", "run.id=whole")
    plain = TrainLog.on_train_batch_start

    class Interrupted(BaseException):
        pass

    def stop(self, trainer, *arguments):
        if trainer.global_step == step:
            raise Interrupted
        return plain(self, trainer, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(TrainLog, "on_train_batch_start", stop)
        with pytest.raises(Interrupted):
            run_command(
                "train",
                *QUICK,
                *digits,
                *flips,
                f"run.root={tmp_path}",
                "run.id=cut",
                "callbacks.checkpoints.every_steps=1",
            )
    run_command("train", "resume=cut", f"run.root={tmp_path}")
    assert_equal(weights(tmp_path, "whole"), weights(tmp_path, "cut"))


def test_eval_gives_the_figure_of_the_run(run, run_command, capsys):
    summary = json.loads((run / "summary.json").read_text())
    score = run_command("eval", "run=one", f"root={run.parent}")
    assert score == summary["test/accuracy"]["value"]
    assert "test/accuracy" in capsys.readouterr().out


def test_predict_names_the_classes_of_a_file_and_of_a_folder(run, run_command, capsys, tmp_path, digits):
    source = json.loads((run / "predictions" / "test.jsonl").read_text().splitlines()[0])
    images = read_idx(Path(digits[0].partition("=")[2]) / "t10k-images-idx3-ubyte.gz")
    for n in range(3):
        Image.fromarray(images[n]).save(tmp_path / f"{n}.png")
    run_command("predict", "run=one", f"root={run.parent}", f"image={tmp_path / '0.png'}")
    first = capsys.readouterr().out.splitlines()[0].split()
    assert first[0] == source["prediction"]
    assert float(first[1]) == pytest.approx(source["top"][0]["probability"], abs=0.02)
    run_command("predict", "run=one", f"root={run.parent}", f"image={tmp_path}", f"output={tmp_path}/o.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()]
    assert [row["image"] for row in rows] == [str(tmp_path / f"{n}.png") for n in range(3)]
    assert sum(item["probability"] for item in rows[0]["top"]) <= 1.0001


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["question=what?"], "this run classifies images"),
        (["image=nothing.png"], "there is no image"),
        ([], "image not given"),
    ],
)
def test_predict_says_what_is_wrong(run, run_command, overrides, message):
    from mmdl.errors import UserError

    with pytest.raises(UserError, match=message):
        run_command("predict", "run=one", f"root={run.parent}", *overrides)

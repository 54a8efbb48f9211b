"""What is measured along a descent, and that measuring it changes nothing."""

import json
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.nn.functional import cross_entropy

from mmdl.callbacks import descent_curve, train_log
from mmdl.callbacks.descent_curve import DescentCurve, log_spaced
from mmdl.errors import UserError
from mmdl.tasks.base import Task

ARM = (
    "+experiment=descent",
    "~study",
    "quick=true",
    "logger=none",
    "data.batch_size=4",
    "optimizer.lr=0.02",
    "trainer.max_epochs=2",
)


def points(folder):
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [
        {"step": r["step"]}
        | {k.removeprefix("descent/"): v for k, v in r.items() if k.startswith("descent/")}
        for r in rows
        if "descent/train_loss" in r
    ]


@pytest.mark.parametrize(("total", "expected"), [(1, {1}), (4, {1, 2, 3, 4}), (0, {1})])
def test_log_spaced_steps_begin_at_one_and_end_at_the_last(total, expected):
    assert log_spaced(total, 10) == expected
    many = log_spaced(30000, 60)
    assert {1, 30000} <= many
    assert len(many) <= 60
    steps = sorted(many)
    ratios = [b / a for a, b in pairwise(steps) if a > 50]
    assert max(ratios) / min(ratios) < 1.05


@pytest.fixture(scope="module")
def measured(tmp_path_factory, run_command):
    root = tmp_path_factory.mktemp("curve")
    run_command("train", *ARM, f"run.root={root}", "run.id=x")
    return root / "x"


def test_points_are_the_start_log_spaced_steps_and_the_ends_of_epochs(measured):
    found = points(measured)
    steps = [point["step"] for point in found]
    assert steps == sorted({0, *log_spaced(32, 60), 16, 32})
    assert [p["epochs"] for p in found] == pytest.approx([step / 16 for step in steps])
    assert {p["samples"] for p in found} == {64}
    seconds = [p["seconds"] for p in found]
    assert seconds[0] == 0
    assert all(b > a for a, b in pairwise(seconds))
    assert [p["step"] for p in found if "gradient_noise_scale" in p] == [0, 16, 32]
    for p in found:
        if "gradient_noise_scale" in p:
            ratio = p["gradient_trace"] / p["gradient_squared_norm"]
            assert p["gradient_noise_scale"] == pytest.approx(ratio)
            assert p["gradient_noise_scale"] > 0


def test_the_last_loss_is_that_of_the_final_weights_over_all_training_images(measured):
    from omegaconf import OmegaConf

    from mmdl.assembly import build_data
    from mmdl.instantiate import instantiate

    config = OmegaConf.load(measured / "config.yaml")
    data, model = build_data(config), instantiate(config.model)
    model.load_state_dict(load_file(measured / "checkpoints" / "final.safetensors"))
    batch = data.dataset("train")[np.arange(64)]
    logits = model.eval()(batch["images"])
    loss = cross_entropy(logits, batch["labels"])
    assert points(measured)[-1]["train_loss"] == pytest.approx(loss.item(), rel=1e-6)
    # and the noise there, sample by sample; the training set is the whole population
    parameters = list(model.parameters())

    def gradient(rows):
        one = cross_entropy(model(batch["images"][rows]), batch["labels"][rows])
        return torch.cat([g.double().flatten() for g in torch.autograd.grad(one, parameters)])

    whole = gradient(slice(None))
    scatter = np.mean([float((gradient(slice(row, row + 1)) - whole).square().sum()) for row in range(64)])
    last = points(measured)[-1]
    assert last["gradient_squared_norm"] == pytest.approx(float(whole.square().sum()), rel=1e-4)
    assert last["gradient_trace"] == pytest.approx(scatter, rel=1e-4)


def test_measuring_changes_no_weight(measured, tmp_path, run_command):
    run_command("train", *ARM, "callbacks=[default]", f"run.root={tmp_path}", "run.id=x")
    one, other = (load_file(p / "checkpoints" / "final.safetensors") for p in (measured, tmp_path / "x"))
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_the_time_of_measuring_does_not_count(tmp_path, run_command, monkeypatch):
    """A clock that training steps move by one second, and everything that is measured by a hundred."""
    clock = SimpleNamespace(now=0.0)
    steps, rows = Task.training_step, Task.evaluate_rows

    def step(self, *args):
        clock.now += 1
        return steps(self, *args)

    def evaluate(self, *args):
        clock.now += 100
        return rows(self, *args)

    monkeypatch.setattr(Task, "training_step", step)
    monkeypatch.setattr(Task, "evaluate_rows", evaluate)
    for module in (descent_curve, train_log):
        monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: clock.now))
    run_command("train", *ARM, f"run.root={tmp_path}", "run.id=x", "trainer.log_every_n_steps=4")
    found = points(tmp_path / "x")
    assert [p["seconds"] for p in found] == [p["step"] for p in found]
    assert clock.now == 32 + 100 * len(found)
    lines = [json.loads(line) for line in (tmp_path / "x" / "metrics.jsonl").read_text().splitlines()]
    rates = [line["train/samples_per_s"] for line in lines if "train/samples_per_s" in line]
    assert rates == pytest.approx([4.0] * 8)


def test_seconds_go_on_after_a_resume(tmp_path, run_command, monkeypatch):
    class Stop(BaseException):
        pass

    plain = DescentCurve.on_train_epoch_start

    def interrupt(self, trainer, pl_module):
        if trainer.current_epoch == 1:
            raise Stop
        plain(self, trainer, pl_module)

    with monkeypatch.context() as patch:
        patch.setattr(DescentCurve, "on_train_epoch_start", interrupt)
        with pytest.raises(Stop):
            run_command("train", *ARM, f"run.root={tmp_path}", "run.id=x")
    before = points(tmp_path / "x")
    assert before[-1]["step"] == 16
    run_command("train", "resume=x", f"run.root={tmp_path}")
    found = points(tmp_path / "x")
    assert found[: len(before)] == before
    steps = [p["step"] for p in found]
    assert steps == sorted(set(steps))
    assert steps[-1] == 32
    assert all(b["seconds"] > a["seconds"] for a, b in pairwise(found))


def test_noise_of_batches_without_single_samples_is_refused(tmp_path, run_command):
    words = (
        "+experiment=vqa",
        "quick=true",
        "logger=none",
        "evaluator=[vqa_accuracy]",
        f"run.root={tmp_path}",
    )
    with pytest.raises(UserError, match="VQABatch") as caught:
        run_command("train", *words, "callbacks=[default,descent_curve]", "run.id=a")
    assert "noise_points=0" in caught.value.fix
    run_command(
        "train",
        *words,
        "callbacks=[default,descent_curve]",
        "callbacks.descent_curve.noise_points=0",
        "callbacks.descent_curve.points=4",
        "trainer.max_epochs=1",
        "run.id=b",
    )
    found = points(tmp_path / "b")
    assert found[-1]["train_loss"] < found[0]["train_loss"]
    assert all("gradient_noise_scale" not in point for point in found)

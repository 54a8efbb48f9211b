"""The descent study: arms that can be compared, and figures that are theirs."""

import csv
import json
import math
from itertools import chain
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image
from safetensors.torch import load_file
from torch.nn.functional import cross_entropy

from mmdl.assembly import build_data
from mmdl.callbacks.descent_curve import DescentCurve
from mmdl.data.sampler import grouped_order
from mmdl.errors import UserError
from mmdl.instantiate import instantiate
from mmdl.runs import opening
from mmdl.tasks.classification import ClassificationTask

QUICK = ("+experiment=descent", "quick=true", "logger=none", "study.arms.mini_batch.data.batch_size=16")
ARMS = {"full_batch": 64, "mini_batch": 16, "stochastic": 1}


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def table(path):
    with path.open() as handle:
        return list(csv.DictReader(handle))


@pytest.fixture(scope="module")
def study(tmp_path_factory, run_command):
    """A quick study; `first`: weights at the start of each arm, `seen`: rows of each training batch of each arm."""
    root = tmp_path_factory.mktemp("study")
    found = SimpleNamespace(root=root, path=root / "s", first={}, seen={})
    start, losses = DescentCurve.on_train_start, ClassificationTask.losses

    def on_train_start(self, trainer, pl_module):
        arm = next(c for c in trainer.callbacks if hasattr(c, "folder")).folder.parent.name
        found.first[arm] = {k: v.clone() for k, v in pl_module.model.state_dict().items()}
        found.seen[arm] = []
        start(self, trainer, pl_module)
        found.arm = arm

    def spy(self, batch):
        if self.training and torch.is_grad_enabled() and self._trainer is not None and hasattr(found, "arm"):
            found.seen[found.arm].append(batch["rows"].tolist())
        return losses(self, batch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DescentCurve, "on_train_start", on_train_start)
        patch.setattr(ClassificationTask, "losses", spy)
        run_command("train", *QUICK, f"run.root={root}", "run.id=s")
    return found


def test_all_arms_start_from_the_same_bits(study):
    assert list(study.first) == list(ARMS)
    first, *others = study.first.values()
    for other in others:
        assert all(torch.equal(value, other[name]) for name, value in first.items())
    starts = [lines(study.path / "arms" / arm / "metrics.jsonl")[0] for arm in ARMS]
    assert {row["step"] for row in starts} == {0}
    for name in ("descent/train_loss", "descent/gradient_noise_scale", "descent/gradient_trace"):
        assert len({row[name] for row in starts}) == 1, (
            "the same weights and data: the same figures to the last bit"
        )


def test_every_arm_sees_every_sample_once_an_epoch_in_batches_of_its_size(study):
    for arm, size in ARMS.items():
        batches = study.seen[arm]
        assert {len(batch) for batch in batches} == {size}
        steps = 64 // size
        assert len(batches) == 2 * steps
        for epoch in range(2):
            rows = list(chain.from_iterable(batches[epoch * steps : (epoch + 1) * steps]))
            assert sorted(rows) == list(range(64))
            # one order for all arms: what differs is after how many samples a step is taken
            assert rows == grouped_order(np.arange(65), 0, epoch, group=False).tolist()
    assert len(study.seen["full_batch"]) == 2, "one step an epoch"


def test_the_mean_gradient_of_an_epoch_of_batches_is_the_full_gradient(study):
    """At the first weights, over the batches that each arm really had: no batch size is biased."""
    config = OmegaConf.load(study.path / "arms" / "full_batch" / "config.yaml")
    data, model = build_data(config), instantiate(config.model)
    model.load_state_dict(study.first["full_batch"])

    def gradient(rows):
        batch = data.dataset("train")[np.array(rows)]
        loss = cross_entropy(model(batch["images"]), batch["labels"])
        return torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(model.parameters()))])

    [whole] = [gradient(batch) for batch in study.seen["full_batch"][:1]]
    scale = float(whole.abs().max())
    norm = float(whole.double().square().sum())
    for arm in ("mini_batch", "stochastic"):
        each = torch.stack([gradient(batch) for batch in study.seen[arm][: 64 // ARMS[arm]]])
        torch.testing.assert_close(each.mean(0), whole, atol=1e-6 * max(1, scale), rtol=1e-4)
        assert float(each[0].sub(whole).abs().max()) > 1e-3 * scale, "a single batch has noise"
    [first, *_] = lines(study.path / "arms" / "stochastic" / "metrics.jsonl")
    assert first["descent/gradient_squared_norm"] == pytest.approx(norm, rel=1e-4)


def test_the_table_holds_the_figures_of_the_arms(study):
    summary = json.loads((study.path / "summary.json").read_text())
    rows = table(study.path / "descent.csv")
    assert [row["arm"] for row in rows] == list(ARMS)
    for row in rows:
        folder = study.path / "arms" / row["arm"]
        own = json.loads((folder / "summary.json").read_text())
        *_, last = [r for r in lines(folder / "metrics.jsonl") if "descent/train_loss" in r]
        size = ARMS[row["arm"]]
        assert int(row["batch_size"]) == size
        assert int(row["steps"]) == last["step"] == own["steps"]["value"] == 2 * 64 // size
        assert float(row["train_loss"]) == last["descent/train_loss"]
        assert float(row["seconds"]) == last["descent/seconds"] > 0
        assert float(row["noise_scale_at_end"]) == last["descent/gradient_noise_scale"]
        assert float(row["test"]) == own["test/accuracy"]["value"]
        assert float(row["val"]) == own["best/val/accuracy"]["value"]
        prefix = f"arm/{row['arm']}"
        assert summary[f"{prefix}/train_loss"] == {"value": last["descent/train_loss"], "n": 64, "ci95": None}
        assert summary[f"{prefix}/steps"]["value"] == last["step"]
        assert summary[f"{prefix}/seconds"]["value"] == last["descent/seconds"]
        assert summary[f"{prefix}/gradient_noise_scale"]["value"] == last["descent/gradient_noise_scale"]
        assert summary[f"{prefix}/test/accuracy"] == own["test/accuracy"]
    measured = table(study.path / "descent_curves.csv")
    logged = {arm: lines(study.path / "arms" / arm / "metrics.jsonl") for arm in ARMS}
    for arm in ARMS:
        assert [float(row["train_loss"]) for row in measured if row["arm"] == arm] == [
            row["descent/train_loss"] for row in logged[arm] if "descent/train_loss" in row
        ]


def test_validation_chooses_the_arm_whose_figures_are_the_studys(study):
    summary = json.loads((study.path / "summary.json").read_text())
    rows = table(study.path / "descent.csv")
    best = max(rows, key=lambda row: float(row["val"]))["arm"]
    own = json.loads((study.path / "arms" / best / "summary.json").read_text())
    for name in ("test/accuracy", "baseline/most_common/accuracy"):
        assert summary[name] == own[name]
    assert summary["test/accuracy"]["n"] == 359
    ours, theirs = (
        load_file(p / "checkpoints" / "best.safetensors") for p in (study.path, study.path / "arms" / best)
    )
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
    assert json.loads((study.path / "status.json").read_text())["status"] == "finished"


def test_the_figure_is_not_blank(study):
    with Image.open(study.path / "descent.png") as image:
        pixels = np.asarray(image.convert("RGB"))
    assert pixels.shape[0] > 900
    for quarter in (pixels[:550, :700], pixels[:550, 700:], pixels[550:, :700], pixels[550:, 700:]):
        colourful = np.ptp(quarter.astype(int), axis=2) > 60
        assert colourful.sum() > 300, "each panel has its curves"


def test_a_study_is_evaluated_like_a_run(study, run_command, capsys):
    run_command("eval", "run=s", f"root={study.root}")
    run_command("eval", f"run={study.path / 'arms' / 'stochastic'}")
    summary = json.loads((study.path / "summary.json").read_text())
    assert f"{summary['test/accuracy']['value']:.4f}" in capsys.readouterr().out


class Stop(BaseException):
    pass


def test_an_interrupted_study_goes_on_where_it_was(study, tmp_path, run_command, monkeypatch):
    plain = DescentCurve.on_train_epoch_start

    def interrupt(self, trainer, pl_module):
        if trainer.current_epoch == 1 and trainer.num_training_batches == 4:  # the second arm
            raise Stop
        plain(self, trainer, pl_module)

    with monkeypatch.context() as patch:
        patch.setattr(DescentCurve, "on_train_epoch_start", interrupt)
        with pytest.raises(Stop):
            run_command("train", *QUICK, f"run.root={tmp_path}", "run.id=s")
    assert json.loads((tmp_path / "s" / "status.json").read_text())["status"] == "failed"
    arms = tmp_path / "s" / "arms"
    assert sorted(p.name for p in arms.iterdir()) == ["full_batch", "mini_batch"]
    before = {p: p.read_bytes() for p in (arms / "full_batch").rglob("*") if p.is_file()}
    run_command("train", "resume=s", f"run.root={tmp_path}")
    assert {p: p.read_bytes() for p in before} == before, "an arm that has finished is not touched"
    for arm in ARMS:
        one, other = (
            load_file(p / "arms" / arm / "checkpoints" / "final.safetensors")
            for p in (study.path, tmp_path / "s")
        )
        assert all(torch.equal(value, other[name]) for name, value in one.items())
    timed = ("seconds", "ms_per_step")
    rows, expected = (
        [{k: v for k, v in row.items() if k not in timed} for row in table(path / "descent.csv")]
        for path in (tmp_path / "s", study.path)
    )
    assert rows == expected
    run_command("train", "resume=s", f"run.root={tmp_path}")  # finished: only told again
    assert len(lines(tmp_path / "s" / "metrics.jsonl")) == 1


def test_an_arm_that_diverges_is_named_and_can_be_mended(tmp_path, run_command, monkeypatch):
    bad = "study.arms.mini_batch.optimizer.lr=1e20"
    with pytest.raises(UserError, match=r"arm 'mini_batch': the loss is (nan|inf)") as caught:
        run_command("train", *QUICK, bad, f"run.root={tmp_path}", "run.id=s")
    assert "study.arms.mini_batch.optimizer.lr smaller" in caught.value.fix
    assert "resume=s allow_changes=true" in caught.value.fix
    kept = (tmp_path / "s" / "arms" / "full_batch" / "summary.json").read_bytes()
    good = "study.arms.mini_batch.optimizer.lr=0.05"
    monkeypatch.setattr(opening, "overrides", lambda: [good])
    with pytest.raises(UserError, match="configuration differs"):
        run_command("train", *QUICK, good, f"run.root={tmp_path}", "resume=s")
    run_command("train", *QUICK, good, f"run.root={tmp_path}", "resume=s", "allow_changes=true")
    rows = {row["arm"]: row for row in table(tmp_path / "s" / "descent.csv")}
    assert float(rows["mini_batch"]["learning_rate"]) == 0.05
    assert math.isfinite(float(rows["mini_batch"]["train_loss"]))
    assert (tmp_path / "s" / "arms" / "full_batch" / "summary.json").read_bytes() == kept


def test_nothing_is_made_where_an_arm_is_wrong(tmp_path, run_command):
    with pytest.raises(UserError, match="momentun"):
        run_command(
            "train", *QUICK, "+study.arms.a={optimizer: {momentun: 1}}", f"run.root={tmp_path}", "run.id=s"
        )
    assert not (tmp_path / "s").exists()


def test_check_names_the_arms(run_command, capsys):
    run_command("check", *QUICK)
    out = capsys.readouterr().out
    assert "full_batch: data.batch_size=64  optimizer.lr=0.1" in out
    assert "stochastic: data.batch_size=1" in out

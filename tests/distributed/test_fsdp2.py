"""Runs with `strategy=fsdp2`: stopped and continued, on other numbers of ranks, read by one process, as one file."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file

from mmdl.runs.checkpoint_files import step_of
from mmdl.runs.logged import quantity

BASE = ("quick=true", "logger=none", "run.id=r", "trainer.max_epochs=2", "trainer.accelerator=cpu")
SAVES = ("callbacks.checkpoints.every_steps=5", "callbacks.checkpoints.keep=4")
VQA = ("train", "+experiment=vqa", *BASE, *SAVES, "evaluator=[vqa_accuracy]", "data.scenes_train=96")
CLIP = ("train", "+experiment=clip", *BASE, "model=clip", "model.name=vit_tiny_64")
MNIST = ("train", "+experiment=mnist", *BASE, "data=digits")
# Convolutions of channels-last tensors round differently, and fsdp2 has none.
EXACT = (
    "task.channels_last=false",
    "trainer.precision=32-true",
    "optimizer=sgd",
    "optimizer.lr=0.05",
    "trainer.log_every_n_steps=1",
)


@pytest.fixture(scope="module")
def start(launch):
    def run(folder, *words, ranks=2, strategy="fsdp2", patch=None, **arguments):
        many = (f"trainer.devices={ranks}", f"strategy={strategy}") if words[1] != "resume=r" else ()
        done = launch(folder, (*words, *many), patch, ranks=ranks, **arguments)
        assert not done.late
        return done

    return run


def finished(done):
    assert not any(done.codes), done.stderr
    assert not done.left


def weights(folder, kind="final"):
    return load_file(folder / "runs" / "r" / "checkpoints" / f"{kind}.safetensors")


def summary(folder):
    found = json.loads((folder / "runs" / "r" / "summary.json").read_text())
    return {name: value for name, value in found.items() if not quantity(name).measured}


def close(one, other, tolerance, absolute=None):
    absolute = tolerance / 100 if absolute is None else absolute
    assert one.keys() == other.keys()
    for name, value in one.items():
        torch.testing.assert_close(other[name], value, rtol=tolerance, atol=absolute, msg=name)


@pytest.fixture(scope="module")
def whole(start, tmp_path_factory):
    """A run of two ranks that is not stopped; in float32, since bf16 rounds otherwise in one process."""
    folder = tmp_path_factory.mktemp("whole")
    finished(start(folder, *VQA, *EXACT))
    return folder


def checkpoint(folder, step, kind="last"):
    return folder / "runs" / "r" / "checkpoints" / f"{kind}-step={step:08d}.ckpt"


def cut_off(folder, step=10):
    """What a run leaves that was killed after a step in its second epoch."""
    for path in (folder / "runs" / "r" / "checkpoints").iterdir():
        if step_of(path) > step or path.suffix == ".safetensors":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert checkpoint(folder, step).exists()


@pytest.fixture
def copied(whole, tmp_path):
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    cut_off(tmp_path)
    return tmp_path


def test_a_killed_run_ends_with_the_same_bits(start, whole, copied):
    done = start(copied, "train", "resume=r")
    finished(done)
    assert "resuming     at step 10" in done.stderr
    for kind in ("final", "best"):
        one, other = weights(whole, kind), weights(copied, kind)
        assert one.keys() == other.keys()
        assert all(torch.equal(value, other[name]) for name, value in one.items())
    assert summary(copied) == summary(whole)


def test_one_process_reads_what_two_have_written(whole, run_command, tmp_path, capsys):
    root = whole / "runs"
    run = root / "r"
    run_command(
        "export", "run=r", f"root={root}", "format=safetensors", "weights=last", f"output={tmp_path / 'w.st'}"
    )
    assert (tmp_path / "w.st").read_bytes() == (run / "checkpoints" / "final.safetensors").read_bytes()
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    capsys.readouterr()
    run_command("eval", "run=r", f"root={tmp_path / 'runs'}")
    expected = summary(whole)["test/vqa_accuracy"]
    assert expected["n"] == 144
    line = next(line for line in capsys.readouterr().out.splitlines() if "test/vqa_accuracy " in line)
    assert float(line.split()[1]) == pytest.approx(expected["value"], abs=1e-4)


REFUSED = {
    "callbacks=[default,ema]": "callbacks: ema with strategy=fsdp2",
    "optimizer=muon": "optimizer=muon with strategy=fsdp2",
    "task.compile=true": "task.compile=true with strategy=fsdp2",
    "find_batch_size=true": "find_batch_size=true with strategy=fsdp2",
}


def test_what_needs_whole_weights_is_refused_at_check_time(start, tmp_path):
    done = start(tmp_path, *VQA, *REFUSED)
    assert done.codes[0] == 2
    for said in REFUSED.values():
        assert said in done.stderr
    assert not (tmp_path / "runs" / "r").exists()


@pytest.mark.slow
def test_another_number_of_ranks_goes_on_with_the_same_weights(start, tmp_path):
    """Its loss goes over the joined batch, whose samples are the same."""
    finished(
        start(tmp_path / "two", *CLIP, *EXACT, "global_batch_size=12", "callbacks.checkpoints.every_steps=3")
    )
    for ranks in (1, 3):
        folder = tmp_path / str(ranks)
        shutil.copytree(tmp_path / "two", folder)
        cut_off(folder, 6)
        done = start(
            folder, "train", "resume=r", f"trainer.devices={ranks}", "allow_changes=true", ranks=ranks
        )
        finished(done)
        assert "resuming     at step 6" in done.stderr
        close(weights(tmp_path / "two"), weights(folder), 1e-5)
        last = checkpoint(folder, 8)
        assert last.is_file() if ranks == 1 else len(list(last.glob("*.distcp"))) == ranks


@pytest.mark.slow
def test_unsharded_and_sharded_runs_continue_each_other(start, tmp_path):
    """With the same weights at the end as without the change, up to rounding."""
    exact = (*CLIP, *EXACT, "global_batch_size=12", "callbacks.checkpoints.every_steps=3")
    finished(start(tmp_path / "ddp", *exact, strategy="ddp"))
    for first, then in (("ddp", "fsdp2"), ("fsdp2", "ddp")):
        folder = tmp_path / f"{first}-{then}"
        if first == "fsdp2":
            finished(start(tmp_path / first, *exact, strategy=first))
        shutil.copytree(tmp_path / first, folder)
        cut_off(folder, 6)
        done = start(folder, "train", "resume=r", f"strategy={then}", "allow_changes=true")
        finished(done)
        assert "resuming     at step 6" in done.stderr
        close(weights(tmp_path / "ddp"), weights(folder), 1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "extra"),
    [
        (VQA, ()),
        (VQA, ("trainer.accumulate_grad_batches=2", "trainer.gradient_clip_val=0.5")),
        (VQA, ("callbacks=[default,gradient_norms]", "task.freeze=[image_tower*]")),
        (MNIST, ("optimizer.momentum=0.9",)),
        (CLIP, ("task.micro_batch=8", "callbacks.contrastive_diagnosis.every_n_steps=1")),
        (CLIP, ("strategy.reshard_after_forward=false",)),
    ],
    ids=[
        "vqa",
        "accumulated and clipped",
        "norms of a frozen model",
        "cnn",
        "clip in parts",
        "clip not freed",
    ],
)
def test_training_equals_that_of_ddp(start, tmp_path, words, extra):
    for strategy in ("ddp", "fsdp2"):
        own = [word for word in extra if strategy == "fsdp2" or not word.startswith("strategy.")]
        finished(start(tmp_path / strategy, *words, *EXACT, *own, strategy=strategy))
    # Rounding grows with the steps of the VQA model, most in its small biases; test_sharding compares in float64.
    close(
        weights(tmp_path / "ddp"),
        weights(tmp_path / "fsdp2"),
        1e-3 if words is VQA else 1e-4,
        3e-4 if words is VQA else None,
    )
    for name, tolerance in (("train/loss", 1e-3), ("train/grad_norm", 1e-2)):
        logged = []
        for strategy in ("ddp", "fsdp2"):
            log = (tmp_path / strategy / "runs" / "r" / "metrics.jsonl").read_text().splitlines()
            logged.append([row[name] for row in map(json.loads, log) if name in row])
        assert len(logged[0]) > 2
        assert logged[1] == pytest.approx(logged[0], rel=tolerance), name


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true"])
def test_other_precisions_train(start, tmp_path, precision):
    finished(start(tmp_path, *CLIP, f"trainer.precision={precision}"))
    assert summary(tmp_path)["test/loss"]["value"] < 4


@pytest.mark.slow
def test_a_missing_shard_costs_the_newest_checkpoint_only(start, whole, copied):
    newest = checkpoint(copied, 10)
    (newest / "__1_0.distcp").unlink()
    done = start(copied, "train", "resume=r")
    finished(done)
    assert f"{newest.name} is damaged: __1_0.distcp is missing" in done.stderr
    assert "resuming     at step 7" in done.stderr
    one, other = weights(whole), weights(copied)
    assert all(torch.equal(value, other[name]) for name, value in one.items())

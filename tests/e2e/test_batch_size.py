"""A batch that does not fit is taken in parts, and trains as the whole one does."""

import pytest
import torch
from omegaconf import OmegaConf
from safetensors.torch import load_file

from mmdl.errors import UserError

VQA = (
    "+experiment=vqa",
    "quick=true",
    "evaluator=[vqa_accuracy]",
    "data.scenes_train=32",
    "model/fusion=hadamard",
    "model.fusion.dropout=0",
)
CLASSES = (
    "data=digits",
    "task=classification",
    "model=cnn",
    "model.norm=group",
    "evaluator=[classification]",
)
PAIRS = (
    "data=shapes_captions",
    "task=contrastive",
    "model=clip_towers",
    "evaluator=[retrieval]",
    "quick=true",
)
COMMON = (
    "logger=none",
    "trainer.precision=32-true",
    "optimizer=sgd",
    "optimizer.lr=0.05",
    "trainer.max_epochs=1",
)
MONITOR = {
    VQA: "val/vqa_accuracy",
    CLASSES: "val/accuracy",
    PAIRS: "val/text_to_image/recall@1",
}


@pytest.fixture
def room(monkeypatch):
    """`room(n)` lets every sample take 1 MB, and says how many were tried at a time."""
    from mmdl.callbacks import batch_size_finder

    tried = []
    real = batch_size_finder._probe

    def probe(trainer, task, data):
        measure = real(trainer, task, data)

        def counted(size):
            assert measure(size) >= 0  # 0: no more than the process held already
            tried.append(size)
            return 1e6 * size

        return counted

    monkeypatch.setattr(batch_size_finder, "_probe", probe)
    monkeypatch.setattr(batch_size_finder.BatchSizeFinder, "_budget", lambda self, *_: self.limit_gb * 1e9)
    return tried


@pytest.mark.parametrize("words", MONITOR, ids=["vqa", "classification", "contrastive"])
def test_parts_train_as_the_whole_batch(words, room, tmp_path, run_command, caplog):
    common = (
        *words,
        *COMMON,
        f"monitor.name={MONITOR[words]}",
        f"run.root={tmp_path}",
        "global_batch_size=24",
    )
    steps = "trainer.max_steps=4"
    run_command("train", *common, steps, "run.id=whole")
    run_command("train", *common, steps, "run.id=parts", "find_batch_size=true", "memory_limit_gb=0.009")
    assert room == [1, 2, 4, 8]
    cfg = OmegaConf.load(tmp_path / "parts" / "config.yaml")
    if words is PAIRS:
        assert (cfg.data.batch_size, cfg.task.micro_batch, cfg.trainer.accumulate_grad_batches) == (24, 8, 1)
    else:
        assert (cfg.data.batch_size, cfg.trainer.accumulate_grad_batches) == (8, 3)
    whole, parts = (
        load_file(tmp_path / name / "checkpoints" / "final.safetensors") for name in ("whole", "parts")
    )
    for name, value in whole.items():
        torch.testing.assert_close(parts[name], value, rtol=1e-3, atol=2e-4, msg=name)


def test_what_was_found_holds_when_the_run_is_continued(room, tmp_path, run_command):
    words = (*CLASSES, *COMMON, "monitor.name=val/accuracy", f"run.root={tmp_path}", "run.id=r")
    run_command("train", *words, "find_batch_size=true", "memory_limit_gb=0.009", "data.batch_size=32")
    assert len(room) == 4
    run_command("train", "resume=r", f"run.root={tmp_path}")
    assert len(room) == 4
    assert OmegaConf.load(tmp_path / "r" / "config.yaml").data.batch_size == 8


def test_a_sample_that_does_not_fit_is_said(tmp_path, run_command):
    words = (*CLASSES, *COMMON, "monitor.name=val/accuracy", f"run.root={tmp_path}", "run.id=r")
    with pytest.raises(UserError, match=r"1 of the samples take about .* in training"):
        run_command("train", *words, "find_batch_size=true", "memory_limit_gb=0.0001")
    with pytest.raises(UserError, match="memory_limit_gb=-1"):
        run_command("train", *words[:-1], "run.id=s", "find_batch_size=true", "memory_limit_gb=-1")


def test_the_probe_leaves_the_training_as_it_was(tmp_path, run_command):
    """With room for all, the run ends with the bits of one that did not measure; a model with dropout and buffers."""
    words = (
        *CLASSES,
        *COMMON,
        "model=cnn",
        "model.norm=batch",
        "model.dropout=0.1",
        "monitor.name=val/accuracy",
        f"run.root={tmp_path}",
    )
    few = ("trainer.max_steps=3", "data.batch_size=16")
    run_command("train", *words, *few, "run.id=plain")
    run_command("train", *words, *few, "run.id=found", "find_batch_size=true")
    plain, found = (
        load_file(tmp_path / name / "checkpoints" / "final.safetensors") for name in ("plain", "found")
    )
    assert all(torch.equal(value, found[name]) for name, value in plain.items())


def test_real_memory_grows_with_the_samples(tmp_path, run_command):
    """What the probe measures is at least what the backward pass keeps."""
    from mmdl.callbacks import batch_size_finder

    found = []
    plain = batch_size_finder.largest_that_fits

    def spy(*arguments):
        found.append(plain(*arguments))
        return found[-1]

    batch_size_finder.largest_that_fits = spy
    try:
        words = (
            *CLASSES,
            *COMMON,
            "model.channels=[64,64]",
            "monitor.name=val/accuracy",
            "trainer.max_steps=1",
        )
        run_command(
            "train",
            *words,
            f"run.root={tmp_path}",
            "run.id=r",
            "find_batch_size=true",
            "data.batch_size=1024",
        )
    finally:
        batch_size_finder.largest_that_fits = plain
    [fit] = found
    taken = dict(fit.probes)
    kept_per_sample = 64 * 8 * 8 * 4
    assert taken[1024] - taken[64] >= 0.9 * kept_per_sample * (1024 - 64)

"""A NaN on one rank leads to one decision on all ranks, at the same step."""

import json

import pytest
import torch

WORDS = (
    *("train", "+experiment=vqa", "quick=true", "logger=none", "evaluator=[vqa_accuracy]", "run.id=r"),
    *("trainer.max_epochs=2", "data.scenes_train=96", "trainer.accelerator=cpu"),
)
RANKS = (*WORDS, "trainer.devices=2")


def status(folder):
    return json.loads((folder / "runs" / "r" / "status.json").read_text())


@pytest.mark.parametrize(
    ("on_rank", "words"),
    [
        pytest.param(1, (), id="rank 1"),
        pytest.param(0, (), id="rank 0", marks=pytest.mark.slow),
        pytest.param(1, ("trainer.accumulate_grad_batches=2",), id="accumulated", marks=pytest.mark.slow),
        pytest.param(1, ("callbacks=[default,ema]",), id="average", marks=pytest.mark.slow),
    ],
)
def test_all_ranks_stop_at_the_same_step(launch, tmp_path, on_rank, words):
    done = launch(tmp_path, (*RANKS, *words), "rank_fault", fault="nan", on_rank=on_rank, ranks=2, grace=60)
    assert done.codes == [2, 2], done.stderr
    assert not done.late
    assert f"error: rank {on_rank}: the loss is nan at epoch 0, batch 5" in done.stderr
    assert "question ids" in done.stderr
    assert "Traceback" not in done.stderr
    assert "error:" not in (tmp_path / "stderr.1").read_text()
    assert status(tmp_path)["status"] == "failed"
    [path] = (tmp_path / "runs" / "r" / "not_finite").iterdir()
    assert path.name.endswith(f"-rank={on_rank}.pt")
    weights = torch.load(path, weights_only=True)["state_dict"]
    assert all(torch.isfinite(value).all() for value in weights.values())


SKIP = "callbacks.loss_guard.on_not_finite=skip"


def summary(folder):
    found = json.loads((folder / "runs" / "r" / "summary.json").read_text())
    return {name: figure["value"] for name, figure in found.items()}


@pytest.mark.parametrize(
    ("ranks", "words"),
    [
        pytest.param(2, (), id="2 ranks"),
        pytest.param(1, (), id="1 rank", marks=pytest.mark.slow),
        pytest.param(2, ("trainer.accumulate_grad_batches=2",), id="accumulated", marks=pytest.mark.slow),
    ],
)
def test_a_step_is_skipped_on_all_ranks(launch, tmp_path, ranks, words):
    words = (*(RANKS if ranks == 2 else WORDS), SKIP, *words)
    done = launch(tmp_path, words, "rank_fault", fault="nan", on_rank=ranks - 1, ranks=ranks)
    assert done.codes == [0] * ranks, done.stderr
    assert done.stderr.count("skipped      step") == 1
    found = summary(tmp_path)
    assert found["skipped_steps"] == 1
    assert 0 < found["test/loss"] < 100


@pytest.mark.slow
def test_too_many_in_a_row_stop_the_run(launch, tmp_path):
    done = launch(tmp_path, (*RANKS, SKIP), "rank_fault", fault="nan", ranks=2, step=1, times=11, grace=60)
    assert done.codes == [2, 2], done.stderr
    assert "10 steps in a row were skipped" in done.stderr

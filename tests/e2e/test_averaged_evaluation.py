"""With an average of the weights, the evaluators of a validation have it too, not only the batches before them."""

import json

import pytest
import torch
from safetensors.torch import load_file


@pytest.mark.parametrize("average", ["ema", "swa"])
def test_evaluators_encode_with_the_average(average, tmp_path, run_command, monkeypatch):
    from mmdl.evaluators.vqa_accuracy import VQAAccuracyEvaluator

    seen = []
    plain = VQAAccuracyEvaluator.run

    def spy(self, context):
        if context.split == "val":
            seen.append({name: value.clone() for name, value in context.task.model.state_dict().items()})
        return plain(self, context)

    monkeypatch.setattr(VQAAccuracyEvaluator, "run", spy)
    run_command(
        "train",
        *("+experiment=vqa", "quick=true", "logger=none", "evaluator=[vqa_accuracy]", "trainer.max_epochs=3"),
        *(f"callbacks=[default,{average}]", f"run.root={tmp_path}", "run.id=r"),
    )
    saved = load_file(tmp_path / "r" / "checkpoints" / "final.safetensors")
    assert len(seen) >= 3
    assert all(torch.equal(value, seen[2][name]) for name, value in saved.items())
    rows = [json.loads(line) for line in (tmp_path / "r" / "metrics.jsonl").read_text().splitlines()]
    assert sum("val/vqa_accuracy" in row for row in rows) == 3

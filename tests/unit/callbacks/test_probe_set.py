"""What the model says of a fixed set of items at each validation."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mmdl.callbacks import probe_set
from mmdl.callbacks.probe_set import ProbeSet
from mmdl.data.image_split import ImageSplit
from mmdl.data.images import ImageDataModule
from mmdl.errors import UserError


class Source:
    """A hundred grey images for validation, others for training."""

    def prepare(self) -> None:
        """Nothing to make."""

    def split(self, name: str) -> ImageSplit:
        """Any split."""
        labels = np.arange(100, dtype=np.int64) % 2
        pixels = np.random.default_rng(0).integers(0, 256, (100, 1, 8, 8)).astype(np.uint8)
        return ImageSplit([f"{name}/{row}" for row in range(100)], labels, ("a", "b"), pixels)


def outputs(rows: np.ndarray[Any, Any], sure: float) -> dict[str, np.ndarray[Any, Any]]:
    """Always `b`."""
    return {"rows": rows, "probabilities": np.tile(np.float32([1 - sure, sure]), (len(rows), 1))}


@pytest.fixture(scope="module")
def data() -> ImageDataModule:
    """Ready."""
    found = ImageDataModule(Source())
    found.setup()
    return found


def validate(
    callback: ProbeSet, data: Any, step: int, found: dict[str, Any], fn: str = "fit", **facts: Any
) -> None:
    """One validation of a trainer that is none."""
    state: dict[str, Any] = {"sanity_checking": False, "is_global_zero": True, "current_epoch": 0} | facts
    trainer: Any = SimpleNamespace(state=SimpleNamespace(fn=fn), global_step=step, **state)
    context = SimpleNamespace(data=data, split="val", outputs=found)
    task: Any = SimpleNamespace(context=context)
    callback.on_validation_end(trainer, task)


def test_the_same_items_whatever_the_order_and_the_outputs(tmp_path: Path, data: ImageDataModule) -> None:
    for name, rows in (("a", np.arange(100)), ("b", np.arange(100)[::-1].copy())):
        callback = ProbeSet(str(tmp_path / name), items=4)
        validate(callback, data, 10, outputs(rows, 0.6))
        validate(callback, data, 20, outputs(rows, 0.9))
    indexes = [json.loads((tmp_path / name / "index.json").read_text()) for name in "ab"]
    assert sorted(indexes[0]["ids"]) == sorted(indexes[1]["ids"]) == ["val/0", "val/33", "val/66", "val/99"]
    assert (indexes[0]["kind"], indexes[0]["split"]) == ("classification", "val")
    lines = (tmp_path / "a" / "step-20.jsonl").read_text().splitlines()
    assert json.loads(lines[1]) == {
        "id": "val/33", "label": "b", "prediction": "b", "correct": True,
        "top": [{"class": "b", "probability": 0.9}, {"class": "a", "probability": 0.1}],
    }  # fmt: skip
    assert set(indexes[0]["images"]["val"]) == set(indexes[0]["ids"])


def test_it_is_written_in_training_on_one_rank_only(tmp_path: Path, data: ImageDataModule) -> None:
    callback = ProbeSet(str(tmp_path / "probe"))
    found = outputs(np.arange(100), 0.6)
    validate(callback, data, 1, found, fn="validate")
    validate(callback, data, 1, found, sanity_checking=True)
    validate(callback, data, 1, found, is_global_zero=False)
    validate(callback, data, 1, {})
    assert not (tmp_path / "probe").exists()


def test_going_on_from_a_step_drops_what_came_after_it(tmp_path: Path, data: ImageDataModule) -> None:
    callback = ProbeSet(str(tmp_path), items=2)
    for step in (10, 20, 30):
        validate(callback, data, step, outputs(np.arange(100), 0.6))
    trainer: Any = SimpleNamespace(is_global_zero=True, global_step=20)
    ProbeSet(str(tmp_path)).on_train_start(trainer, None)  # type: ignore[arg-type]
    assert sorted(path.name for path in tmp_path.glob("step-*")) == ["step-10.jsonl", "step-20.jsonl"]


def test_a_training_does_not_end_for_it(
    tmp_path: Path, data: ImageDataModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(probe_set.log, "warning", lambda text, *values: said.append(text % values))
    (tmp_path / "probe").write_text("in the way")
    callback = ProbeSet(str(tmp_path / "probe"))
    for step in (1, 2):
        validate(callback, data, step, outputs(np.arange(100), 0.6))
    assert [text[:28] for text in said] == ["the probe set is not written"]


@pytest.mark.parametrize("wrong", [{"items": 0}, {"keep": 1}, {"pixels": 0}, {"megabytes": 0.0}])
def test_numbers_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="probe_set"):
        ProbeSet("x", **wrong)

"""CSV and TensorBoard files of a run that was killed and continued hold each row once."""

import csv
from collections import Counter

from mmdl.runs.logged import quantity

WORDS = (
    *("train", "+experiment=mnist", "quick=true", "logger=[csv,tensorboard]", "run.id=r", "data=digits"),
    *("data.limit_train=96", "data.batch_size=16", "model.channels=[4,8]", "trainer.max_epochs=2"),
    *("trainer.log_every_n_steps=1", "evaluator=[classification]"),
)


def rows(run):
    with (run / "csv" / "metrics.csv").open() as handle:
        found = list(csv.DictReader(handle))
    return [
        {name: float(value) for name, value in row.items() if value and not quantity(name).measured}
        for row in found
    ]


def scalars(run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run / "tensorboard"), size_guidance={"scalars": 0}).Reload()
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in ("train/loss", "val/accuracy")}


def test_each_row_once(exactness, tmp_path):
    """The kill is two steps after the checkpoint, whose rows are there already."""
    saving = ("callbacks.checkpoints.every_steps=3",)
    place = {"at": "batch", "epoch": 1, "batch": 5}
    exactness.check(WORDS, place, saving=saving)
    (copy,) = exactness.copies(WORDS, {"": place}, saving)[1].values()
    whole = copy.parent / copy.name.rpartition("-")[0]
    one, other = (folder / "runs" / "r" for folder in (whole, copy))
    assert rows(one) == rows(other)
    assert scalars(one) == scalars(other)
    assert max(Counter(step for step, _ in scalars(other)["train/loss"]).values()) == 1

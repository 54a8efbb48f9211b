"""Each cause of a loss that does not fall is provoked in a small training, and the message names what applies."""

import json
import re

import pytest

from mmdl.callbacks import contrastive_diagnosis as module
from mmdl.data.shapes.generate import generate_shapes

STEPS = 24
RUN = (
    "+experiment=clip",
    "quick=true",
    "logger=none",
    "evaluator=[retrieval]",
    "callbacks=[default,contrastive_diagnosis]",
    "callbacks.contrastive_diagnosis.patience=12",
    "trainer.log_every_n_steps=2",
    "trainer.max_epochs=3",
    "trainer.precision=32-true",
    "data.batch_size=12",
    "model.image_tower.channels=[8,16]",
    "data.image_size=32",
    "schedule=constant",
)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """96 drawings to train on."""
    folder = tmp_path_factory.mktemp("scenes") / "shapes"
    generate_shapes(folder, train=96, val=12, test=12, progress=False)
    return folder


@pytest.fixture
def train(tmp_path, run_command, scenes, monkeypatch):
    """`train("a=b", ...)` -> the rows of metrics.jsonl, the messages on the console, and the card."""

    said = []
    monkeypatch.setattr(module.log, "warning", lambda form, *values: said.append(form % values))

    def run(*overrides, folder=scenes, run_id="x"):
        words = (f"data.root={folder}", *overrides, f"run.root={tmp_path}", f"run.id={run_id}")
        run_command("train", *RUN, *words)
        rows = [json.loads(line) for line in (tmp_path / run_id / "metrics.jsonl").read_text().splitlines()]
        return rows, [line for line in said if "does not fall" in line]

    return run


def causes(message):
    """The names of the causes in a message, in their order."""
    return re.findall(r"\(\d\) ([a-z ]+):", message)


def test_a_healthy_training_gives_no_message(train, capsys):
    rows, said = train(
        "optimizer.lr=3e-3", "trainer.max_epochs=6", "callbacks.contrastive_diagnosis.patience=24"
    )
    assert said == []
    assert "plateau" not in capsys.readouterr().out
    logged = [row for row in rows if "train/chance_level" in row]
    assert [row["step"] for row in logged] == list(range(2, 2 * STEPS + 1, 2))
    assert logged[-1]["train/similarity/positive"] > logged[-1]["train/similarity/negative"] + 0.02


@pytest.mark.parametrize(
    ("overrides", "expected", "figure"),
    [
        (["optimizer.lr=0"], ["learning rate", "chance level"], "it is 0"),
        (["optimizer.lr=1e-9"], ["learning rate", "chance level"], "too low"),
        (["optimizer.lr=0.05"], ["learning rate", "chance level"], "too high"),
        (["optimizer.lr=5"], ["learning rate", "chance level"], "too high"),
        (["schedule.warmup=1e6"], ["learning rate", "chance level"], "still in its warm-up"),
        (
            ["task.freeze=[image_tower*,text_tower*]"],
            ["frozen towers", "chance level"],
            "not even a projection learns",
        ),
    ],
    ids=["zero", "too low", "high", "far too high", "warm-up", "frozen"],
)
def test_the_cause_is_named(train, capsys, overrides, expected, figure):
    _, said = train(*overrides)
    assert said, "no message"
    assert causes(said[-1]) == expected
    assert figure in said[-1]
    assert "\n" not in said[-1]
    [note] = [line for line in capsys.readouterr().out.splitlines() if line.startswith("plateau  ")]
    assert causes(note) == expected


def test_the_temperature_at_its_clamp(train):
    rows, said = train("optimizer.lr=3e-3", "task.max_scale=0.02")
    assert causes(said[-1])[0] == "temperature at its clamp"
    # with so small a gradient the embeddings may have learned something by then, or not
    assert set(causes(said[-1])) <= {"temperature at its clamp", "chance level"}
    assert "held at 0.02" in said[-1]
    logged = [row for row in rows if "train/scale_at_clamp" in row]
    assert {row["train/scale_at_clamp"] for row in logged} == {1.0}
    assert logged[-1]["train/temperature"] == pytest.approx(50, rel=0.05)


def test_repeated_captions(train, scenes, tmp_path):
    import shutil

    folder = tmp_path / "same"
    shutil.copytree(scenes, folder)
    path = folder / "annotations" / "captions_train.json"
    content = json.loads(path.read_text())
    for annotation in content["annotations"]:
        annotation["caption"] = "A picture."
    path.write_text(json.dumps(content))
    rows, said = train("optimizer.lr=3e-3", folder=folder)
    assert causes(said[-1])[0] == "repeated captions"
    assert set(causes(said[-1])) <= {"repeated captions", "chance level"}
    assert "100% of a batch's captions" in said[-1]
    logged = [row for row in rows if "train/repeated_captions" in row]
    assert all(row["train/repeated_captions"] == 1.0 for row in logged)
    assert all(row["train/loss_floor"] == pytest.approx(row["train/chance_level"]) for row in logged)


def test_only_the_projections_learn(train):
    _, said = train("task.freeze=[image_tower.s*,text_tower.e*,text_tower.g*]", "optimizer.lr=1e-3")
    assert all("only the projections learn" in message for message in said)

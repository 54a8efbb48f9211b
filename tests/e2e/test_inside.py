"""Looking inside during training: pictures on disk and in the loggers, and not one bit of the training changed."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from mmdl.data.mnist import write_fixture
from mmdl.errors import UserError
from mmdl.runs.checkpoint_io import newest_valid, read_checkpoint


@pytest.fixture(scope="module")
def train(tmp_path_factory, run_command):
    folder = tmp_path_factory.mktemp("mnist")
    digits = [f"{key}={value}" for key, value in write_fixture(folder).items()]
    root = tmp_path_factory.mktemp("runs")

    def run(run_id, *overrides):
        run_command(
            "train",
            *("+experiment=mnist", "quick=true", "logger=none", "data.batch_size=32", "data.val_share=0.2"),
            *("model.channels=[8,16]", "model.dropout=0.3", "trainer.max_epochs=2"),
            *(f"run.root={root}", f"run.id={run_id}", *digits, *overrides),
        )
        return root / run_id

    return run


INSIDE = "callbacks=[default,inside]"


def pictures(run):
    return {
        str(path.relative_to(run / "media" / "inside")) for path in (run / "media" / "inside").rglob("*.png")
    }


def test_a_picture_a_class_and_epoch_and_the_same_bits_as_without(train):
    plain, looked = train("plain"), train("looked", INSIDE)
    assert pictures(looked) == {f"epoch=00{epoch}/{digit}.png" for epoch in (1, 2) for digit in range(10)}
    for name in pictures(looked):
        image = np.asarray(Image.open(looked / "media" / "inside" / name).convert("RGB"))
        assert image.std() > 20
        assert image[100:, image.shape[1] // 2 :].std() > 20  # the feature maps
    first, second = (read_checkpoint(newest_valid(run / "checkpoints")) for run in (plain, looked))
    for name, value in first["state_dict"].items():
        assert torch.equal(value, second["state_dict"][name]), name
    states = [checkpoint["callbacks"]["RandomState"] for checkpoint in (first, second)]
    assert str(states[0]) == str(states[1])
    assert not (plain / "media" / "inside").exists()
    figures = [json.loads((run / "summary.json").read_text()) for run in (plain, looked)]
    assert figures[0]["test/accuracy"] == figures[1]["test/accuracy"]


def test_every_second_validation_of_the_first_classes_of_the_averaged_weights(train, monkeypatch):
    from mmdl.inspection import snapshots as module

    seen, draw = [], module.snapshots

    def spy(model, *arguments):
        seen.append({name: value.clone() for name, value in model.state_dict().items()})
        return draw(model, *arguments)

    monkeypatch.setattr(module, "snapshots", spy)
    run = train(
        "few",
        "callbacks=[default,ema,inside]",
        "callbacks.inside.every_n_validations=2",
        "callbacks.inside.max_classes=3",
        "trainer.max_epochs=3",
    )
    assert pictures(run) == {f"epoch=00{epoch}/{digit}.png" for epoch in (1, 3) for digit in range(3)}
    saved = read_checkpoint(
        newest_valid(run / "checkpoints")
    )  # holds the average, and what is trained on beside it
    for name, value in seen[-1].items():
        assert torch.equal(value, saved["state_dict"][f"model.{name}"]), name
    assert any(
        not torch.equal(value, saved["current_model_state"][f"model.{name}"])
        for name, value in seen[-1].items()
    )


def test_several_validations_in_an_epoch_have_folders_of_their_own(train):
    run = train(
        "often",
        INSIDE,
        "trainer.val_check_interval=0.5",
        "trainer.max_epochs=1",
        "callbacks.inside.max_classes=1",
    )
    assert pictures(run) == {f"epoch=001-step=0000000{step}/0.png" for step in (1, 2, 3)}


def test_the_loggers_that_take_images_get_them(train):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = train("logged", INSIDE, "logger=[wandb,tensorboard,csv]", "callbacks.inside.max_classes=2")
    events = EventAccumulator(str(run / "tensorboard"), size_guidance={"images": 0})
    events.Reload()
    assert {tag for tag in events.Tags()["images"] if tag.startswith("inside")} == {"inside/0", "inside/1"}
    shown = events.Images("inside/1")
    assert [event.step for event in shown] == [3, 6]
    on_disk = Image.open(run / "media" / "inside" / "epoch=002" / "1.png")
    assert (shown[1].width, shown[1].height) == on_disk.size
    stored = list(run.glob("wandb/offline-run-*/files/media/images/inside/*.png"))
    assert len(stored) == 4


def test_a_run_that_does_not_classify_images_is_refused(run_command, tmp_path):
    with pytest.raises(UserError, match="callbacks=inside looks into image classifiers"):
        run_command(
            "train",
            "+experiment=vqa",
            "quick=true",
            "logger=none",
            INSIDE,
            f"run.root={tmp_path}",
            "run.id=vqa",
        )


def test_numbers_that_mean_nothing_are_refused(train):
    with pytest.raises(UserError, match="every_n_validations=0"):
        train("nothing", INSIDE, "callbacks.inside.every_n_validations=0")

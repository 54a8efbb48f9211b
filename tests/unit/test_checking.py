import pytest
import torch

from mmdl.checking import augmentation_errors, batch_errors, first_batch
from mmdl.data.augment.crop import Crop
from mmdl.data.augment.mixup import Mixup
from mmdl.data.augment.progressive_resize import ProgressiveResize
from mmdl.data.augment.resized_crop import ResizedCrop
from mmdl.data.mnist import mnist, write_fixture
from mmdl.models.cnn import CNN


@pytest.fixture
def data_with(tmp_path):
    def make(**steps):
        write_fixture(tmp_path / "mnist")
        data = mnist(str(tmp_path / "mnist"), augment=steps)
        data.prepare_data()
        data.setup()
        return data

    return make


def errors(data, **model):
    return batch_errors(data, CNN(1, 28, 10, channels=(4,), **model), first_batch(data))


def test_images_that_change_their_size_need_a_model_that_takes_any(data_with):
    data = data_with(crop=Crop(), progressive_resize=ProgressiveResize(start=0.5, until=0.8))
    [error] = errors(data)
    assert "data.augment.progressive_resize makes images of 16 to 24 pixels" in error.given
    assert "28 x 28" in error.given
    assert "global_pooling=true" in error.fix
    assert errors(data, global_pooling=True) == []


def test_a_step_that_brings_images_back_to_their_size_is_fine(data_with):
    assert errors(data_with(small=ResizedCrop(20), crop=Crop(2), back=ResizedCrop(28))) == []
    [error] = errors(data_with(resized_crop=ResizedCrop(20)))
    assert "resized_crop makes images of 20 pixels" in error.given


def test_an_error_of_a_step_is_found_before_training(data_with):
    [error] = errors(data_with(crop=Crop(30)))
    assert "crop.padding=30" in error.given
    assert errors(data_with(crop=Crop(30, "edge"), mixup=Mixup())) == []


def test_data_without_augmentation_is_passed_over():
    assert augmentation_errors(object(), 28, {"images": torch.zeros(1, 1, 28, 28)}) == []


@pytest.mark.parametrize(
    ("freeze", "said"),
    [
        ("[]", None),
        ("[image_tower*]", None),
        ("[image_tower*,text_tower*]", "not even a projection learns"),
        ("[image_tower.s*,text_tower.e*,text_tower.g*]", "only the projections learn"),
    ],
)
def test_both_towers_frozen_is_said_before_training(run_command, capsys, freeze, said):
    run_command("check", "+experiment=clip", "quick=true", "evaluator=[]", f"task.freeze={freeze}")
    lines = [line for line in capsys.readouterr().out.splitlines() if "both towers are frozen" in line]
    assert len(lines) == (said is not None)
    assert said is None or said in lines[0]

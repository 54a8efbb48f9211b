import pytest
import torch

from mmdl.data.augment.fill import Fill, tell_mean


def test_the_color_has_the_dtype_and_range_of_the_images():
    fill = Fill("mean", ["mean", "zeros"], "x.fill", mean=[0.5, 0.1, 1.0])
    images = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)
    assert fill.value(images).flatten().tolist() == [128, 26, 255]
    assert fill.value(images).dtype == torch.uint8
    assert fill.value(images.float()).flatten().tolist() == pytest.approx([127.5, 25.5, 255])
    assert Fill("zeros", ["zeros"], "x.fill").value(images).flatten().tolist() == [0, 0, 0]


def test_steps_without_a_fill_are_passed_over():
    class Step:
        fill = Fill("mean", ["mean"], "x.fill")

    tell_mean([object(), Step()], [0.25])
    assert Step.fill.mean == [0.25]


def test_the_data_module_tells_the_mean_of_its_training_images(tmp_path):
    from mmdl.data.augment.cutout import Cutout
    from mmdl.data.mnist import mnist, write_fixture

    write_fixture(tmp_path / "mnist")
    measured, given = Cutout(), Cutout(mean=[0.9])
    data = mnist(str(tmp_path / "mnist"), augment={"a": measured, "b": given})
    data.prepare_data()
    data.setup()
    assert measured.fill.mean == data.facts()["mean"]
    assert measured.fill.mean[0] == pytest.approx(
        data.dataset("train").pixels.tensor.float().mean().item() / 255, abs=1e-4
    )
    assert given.fill.mean == [0.9]

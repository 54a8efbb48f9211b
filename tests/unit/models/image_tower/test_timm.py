from __future__ import annotations

import pytest
import timm
import torch
from safetensors.torch import save_file

from mmdl.errors import UserError
from mmdl.models.image_tower.timm import TimmImageTower


def _images(size: int) -> torch.Tensor:
    return torch.randint(0, 256, (2, 3, size, size), dtype=torch.uint8)


def test_a_convolutional_map_is_the_grid(assert_partition):
    tower = TimmImageTower("resnet10t", image_size=64).eval()
    images = _images(64)
    with torch.no_grad():
        features = tower(images)
        raw = tower.backbone.forward_features(tower.normalize(images))
        pooled = tower.backbone(tower.normalize(images))
    torch.testing.assert_close(features.grid, raw)
    torch.testing.assert_close(features.pooled, pooled)
    assert features.grid.shape == (2, tower.grid_channels, 2, 2)
    assert features.pooled.shape == (2, tower.pooled_dim)
    assert assert_partition(tower)[:3] == ["stem", "layer1.0", "layer2.0"]


def test_patch_tokens_without_prefix_are_the_grid(assert_partition):
    tower = TimmImageTower("test_vit").eval()
    images = _images(tower.image_size)
    with torch.no_grad():
        features = tower(images)
        raw = tower.backbone.forward_features(tower.normalize(images))
    side = tower.image_size // 16
    assert raw.shape[1] == side * side + 1
    torch.testing.assert_close(features.grid[:, :, 2, 3], raw[:, 1 + 2 * side + 3])
    assert features.grid.shape == (2, tower.grid_channels, side, side)
    names = assert_partition(tower)
    assert names[:2] == ["stem", "blocks.0"]
    assert names[-1] == "neck"


def test_maps_with_channels_last_are_turned():
    tower = TimmImageTower(
        "test_nfnet" if not timm.is_model("swin_tiny_patch4_window7_224") else "swin_s3_tiny_224"
    )
    grid = tower.eval()(_images(224)).grid
    assert grid.shape == (2, tower.grid_channels, 7, 7)


def test_normalisation_is_the_backbones_own():
    tower = TimmImageTower("vit_tiny_patch16_224")
    config = timm.data.resolve_model_data_config(tower.backbone)
    assert tower.normalize.mean.flatten().tolist() == pytest.approx(config["mean"])
    assert tower.normalize.std.flatten().tolist() == pytest.approx(config["std"])
    assert tower.image_size == 224


def test_another_image_size_resizes_positions():
    tower = TimmImageTower("test_vit", image_size=96).eval()
    assert tower(_images(96)).grid.shape[-2:] == (6, 6)


def test_a_local_checkpoint_is_loaded_without_its_classifier(tmp_path):
    torch.manual_seed(1)
    classifier = timm.create_model("test_vit", num_classes=10)
    file = tmp_path / "weights.safetensors"
    save_file(classifier.state_dict(), file)
    tower = TimmImageTower("test_vit", checkpoint_path=str(file)).eval()
    images = tower.normalize(_images(tower.image_size))
    with torch.no_grad():
        torch.testing.assert_close(
            tower.backbone.forward_features(images), classifier.eval().forward_features(images)
        )


def test_a_checkpoint_that_lacks_or_misfits_a_tensor_is_refused(tmp_path):
    state = timm.create_model("test_vit").state_dict()
    del state["norm.weight"]
    torch.save(state, tmp_path / "lacking.pt")
    torch.save(timm.create_model("resnet10t").state_dict(), tmp_path / "other.pt")
    torch.save(torch.nn.Linear(1, 1), tmp_path / "object.pt")
    with pytest.raises(UserError, match=r"norm\.weight"):
        TimmImageTower("test_vit", checkpoint_path=str(tmp_path / "lacking.pt"))
    with pytest.raises(UserError, match="does not fit timm's 'test_vit'"):
        TimmImageTower("test_vit", checkpoint_path=str(tmp_path / "other.pt"))
    with pytest.raises(UserError, match=r"object\.pt"):
        TimmImageTower("test_vit", checkpoint_path=str(tmp_path / "object.pt"))
    with pytest.raises(UserError, match="no such weights file"):
        TimmImageTower("test_vit", checkpoint_path=str(tmp_path / "missing.pt"))


def test_wrong_names_show_the_nearest():
    with pytest.raises(UserError, match="unknown timm model 'resnet51'") as error:
        TimmImageTower("resnet51")
    assert "resnet50" in error.value.valid.split(", ")[:3]


def test_an_unreachable_hub_names_the_offline_choices(monkeypatch):
    def unreachable(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", unreachable)
    with pytest.raises(UserError, match="no network") as error:
        TimmImageTower("test_vit", pretrained=True)
    assert "checkpoint_path" in error.value.valid

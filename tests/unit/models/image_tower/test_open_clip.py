from __future__ import annotations

import open_clip
import pytest
import torch
from safetensors.torch import save_file

from mmdl.errors import UserError
from mmdl.models.image_tower.open_clip import OpenCLIPImageTower

GRIDS = {"tiny-vit": (16, 4, 4), "tiny-resnet": (256, 2, 2), "tiny-timm": (64, 10, 10)}


@pytest.mark.parametrize("name", GRIDS)
def test_equals_encode_image_with_weights_of_a_file(name, tiny_clip, tmp_path, assert_partition):
    model = tiny_clip(name)
    file = tmp_path / "weights.safetensors"
    save_file(model.state_dict(), file)
    tower = OpenCLIPImageTower(name, pretrained=str(file)).eval()
    size = tower.image_size
    images = torch.randint(0, 256, (2, 3, size, size), dtype=torch.uint8)
    mean, std = (
        torch.tensor(x).view(3, 1, 1) for x in (open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD)
    )
    with torch.no_grad():
        features = tower(images)
        expected = model.encode_image((images / 255 - mean) / std)
    torch.testing.assert_close(features.pooled, expected, rtol=1e-5, atol=1e-6)
    assert features.grid.shape == (2, *GRIDS[name])
    assert (tower.grid_channels, tower.pooled_dim) == (GRIDS[name][0], 24)
    names = assert_partition(tower)
    assert names[0] == "stem"
    assert names[-1] in ("neck", "head")


def test_grid_holds_the_patch_tokens_row_by_row(tiny_clip):
    tower = OpenCLIPImageTower("tiny-vit").eval()
    images = torch.randint(0, 256, (1, 3, 32, 32), dtype=torch.uint8)
    tower.visual.output_tokens = True
    with torch.no_grad():
        tokens = tower.visual(tower.normalize(images))[1]  # (1, 16, 16)
        grid = tower(images).grid
    torch.testing.assert_close(grid[0, :, 1, 2], tokens[0, 1 * 4 + 2])


def test_layer_groups_of_a_vision_transformer(tiny_clip):
    names = [group.name for group in OpenCLIPImageTower("tiny-vit").layer_groups()]
    assert names == ["stem", "transformer.resblocks.0", "transformer.resblocks.1", "neck"]


def test_image_size_resizes_positions_only_when_asked(tiny_clip, tmp_path):
    file = tmp_path / "weights.safetensors"
    save_file(tiny_clip("tiny-vit").state_dict(), file)
    with pytest.raises(
        UserError, match=r"positional_embedding is \(17, 16\), but .*'tiny-vit-64' has \(65, 16\)"
    ):
        OpenCLIPImageTower("tiny-vit-64", pretrained=str(file))
    tower = OpenCLIPImageTower("tiny-vit", pretrained=str(file), image_size=64)
    assert tower(torch.zeros(1, 3, 64, 64, dtype=torch.uint8)).grid.shape == (1, 16, 8, 8)


def test_a_file_of_another_model_is_refused(tiny_clip, tmp_path):
    file = tmp_path / "weights.pt"
    torch.save(tiny_clip("tiny-resnet").state_dict(), file)
    with pytest.raises(UserError, match="does not fit open_clip's 'tiny-vit'"):
        OpenCLIPImageTower("tiny-vit", pretrained=str(file))


@pytest.mark.parametrize("content", [b"", b"not weights", b"\x80\x04\x95K\x00."])
def test_a_file_without_weights_is_refused(content, tiny_clip, tmp_path):
    file = tmp_path / "weights.pt"
    file.write_bytes(content)
    with pytest.raises(UserError, match=r"is no file of weights|does not fit"):
        OpenCLIPImageTower("tiny-vit", pretrained=str(file))


def test_pickled_objects_are_refused(tiny_clip, tmp_path):
    file = tmp_path / "weights.pt"
    torch.save(torch.nn.Linear(2, 2), file)
    with pytest.raises(UserError, match="is no file of weights"):
        OpenCLIPImageTower("tiny-vit", pretrained=str(file))


def test_wrong_names_show_the_nearest():
    with pytest.raises(UserError, match="unknown open_clip model 'ViT-B-33'") as error:
        OpenCLIPImageTower("ViT-B-33")
    assert error.value.valid.startswith("ViT-B-32")
    with pytest.raises(UserError, match="'laion2b' is neither a pretrained tag") as error:
        OpenCLIPImageTower("ViT-B-32", pretrained="laion2b")
    assert "laion2b_s34b_b79k" in error.value.valid
    with pytest.raises(UserError, match="no such weights file"):
        OpenCLIPImageTower("ViT-B-32", pretrained="missing/weights.pt")


def test_another_activation_is_refused():
    with pytest.raises(
        UserError, match="'openai' were trained with QuickGELU, but 'ViT-B-32' is built with GELU"
    ) as e:
        OpenCLIPImageTower("ViT-B-32", pretrained="openai")
    assert e.value.valid == "ViT-B-32-quickgelu"


def test_an_unreachable_hub_names_the_offline_choices(monkeypatch):
    def unreachable(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.setattr("open_clip.factory.download_pretrained", unreachable)
    with pytest.raises(UserError, match="no network") as error:
        OpenCLIPImageTower("RN50-quickgelu", pretrained="yfcc15m")
    assert "a local file" in error.value.valid

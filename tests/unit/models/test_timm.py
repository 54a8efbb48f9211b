import pytest
import timm
import torch
from safetensors.torch import save_file

from mmdl.errors import UserError
from mmdl.models.timm import TimmClassifier


def test_equals_timm_on_normalised_images():
    torch.manual_seed(0)
    model = TimmClassifier("resnet10t", 3, 64, 7, mean=[0.4] * 3, std=[0.2] * 3).eval()
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    expected = model.backbone((images / 255 - 0.4) / 0.2)
    torch.testing.assert_close(model(images), expected)
    held = [id(p) for group in model.layer_groups() for p in group.parameters()]
    assert sorted(held) == sorted(id(p) for p in model.parameters())


@pytest.mark.parametrize(("name", "size"), [("vit_tiny_patch16_224", 64), ("resnet10t", 48)])
def test_other_sizes_and_channels(name, size):
    model = TimmClassifier(name, 1, size, 5)
    assert model(torch.zeros(2, 1, size, size, dtype=torch.uint8)).shape == (2, 5)
    assert model.image_size == (size if name.startswith("vit") else None)


def test_local_weights_keep_all_but_a_classifier_of_another_size(tmp_path):
    torch.manual_seed(0)
    saved = timm.create_model("resnet10t", num_classes=1000)
    save_file(saved.state_dict(), tmp_path / "weights.safetensors")
    same = TimmClassifier("resnet10t", 3, 64, 1000, checkpoint_path=str(tmp_path / "weights.safetensors"))
    other = TimmClassifier("resnet10t", 3, 64, 4, checkpoint_path=str(tmp_path / "weights.safetensors"))
    for name, value in saved.state_dict().items():
        assert torch.equal(same.backbone.state_dict()[name], value)
        if not name.startswith("fc."):
            assert torch.equal(other.backbone.state_dict()[name], value)
    assert other.backbone.fc.weight.shape == (4, 512)


def test_an_unknown_name_and_no_network(monkeypatch):
    with pytest.raises(UserError, match="unknown timm model 'resnet18x'") as caught:
        TimmClassifier("resnet18x", 3, 64, 5)
    assert "resnet18" in caught.value.valid
    monkeypatch.setattr(
        "huggingface_hub.constants.HF_HUB_OFFLINE", True
    )  # the variable is read at the import
    with pytest.raises(UserError, match="pretrained=True"):
        TimmClassifier("resnet10t", 3, 64, 5, pretrained=True)

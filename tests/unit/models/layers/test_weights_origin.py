import json

import pytest
import torch
from safetensors.torch import save_file

from mmdl.errors import UserError
from mmdl.models.clip import CLIP
from mmdl.models.layers.weights_origin import METADATA_KEY, check_origin

GELU = {"embed_dim": 8, "vision_cfg": {"layers": 2}, "text_cfg": {"width": 16}}
QUICK = GELU | {"quick_gelu": True}


@pytest.fixture
def weights(tmp_path):
    file = tmp_path / "weights.safetensors"
    save_file({"a": torch.zeros(1)}, file)
    return file


def test_a_file_that_says_nothing_is_taken(weights):
    check_origin(weights, {}, "tiny", GELU)
    check_origin(weights, {}, "tiny", QUICK)


def test_the_config_beside_it_decides(weights):
    (weights.parent / "open_clip_config.json").write_text(json.dumps({"model_cfg": QUICK}))
    check_origin(weights, {}, "tiny", QUICK)
    with pytest.raises(UserError, match=r"open_clip_config.json beside it: quick_gelu: True, and") as error:
        check_origin(weights, {}, "tiny", GELU)
    assert f"model.name=local-dir:{weights.parent}" in error.value.fix


def test_the_header_goes_with_the_file(weights):
    save_file({"a": torch.zeros(1)}, weights, {METADATA_KEY: json.dumps(QUICK)})
    check_origin(weights, {}, "tiny", QUICK)
    with pytest.raises(UserError, match="says its header: quick_gelu: True"):
        check_origin(weights, {}, "tiny", GELU)


@pytest.mark.parametrize(
    ("name", "quick"),
    [
        ("vit_b_32-quickgelu-laion400m_e31-d867053b.pt", True),
        ("my_quickgelu_weights.pt", True),
        ("my-Quick-GELU.safetensors", True),
        ("ViT-B-32.pt", True),  # OpenAI's
        ("vit_b_16-laion400m_e32-55e67d44.pt", False),
    ],
)
def test_published_names_are_known(name, quick, tmp_path):
    right, wrong = (QUICK, GELU) if quick else (GELU, QUICK)
    check_origin(tmp_path / name, {}, "tiny", right)
    with pytest.raises(UserError, match=f"was trained with {'QuickGELU' if quick else 'GELU'} "):
        check_origin(tmp_path / name, {}, "tiny", wrong)


def test_openais_format_is_known(tmp_path):
    with pytest.raises(UserError, match="it is in OpenAI's own format") as error:
        check_origin(tmp_path / "x.pt", {"input_resolution": torch.tensor(224)}, "ViT-B-32", GELU)
    assert error.value.valid == "ViT-B-32-quickgelu"


def test_a_folder_without_weights_is_no_pretrained_model(tmp_path):
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": GELU}))
    with pytest.raises(UserError, match="there are no weights in"):
        CLIP(f"local-dir:{tmp_path}")


def test_a_tag_does_not_go_with_a_file_of_an_architecture(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(GELU))
    with pytest.raises(UserError, match="'openai' is neither a pretrained tag of"):
        CLIP(str(tmp_path / "a.json"), pretrained="openai")


def test_an_architecture_that_can_not_be_built_is_the_users_error(tmp_path):
    broken = {
        "embed_dim": 8,
        "vision_cfg": {"layers": 1, "width": 10, "head_width": 4},
        "text_cfg": {"width": 10},
    }
    (tmp_path / "a.json").write_text(json.dumps(broken))
    with pytest.raises(UserError, match="can't be built: embed_dim must be divisible by num_heads"):
        CLIP(str(tmp_path / "a.json"))

import json

import open_clip
import pytest

from mmdl.errors import UserError, UserErrors
from mmdl.models.layers.architecture import (
    architecture_hash,
    config_errors,
    differences,
    effective,
    find_architecture,
    own_architectures,
)

PLAIN = {"embed_dim": 8, "vision_cfg": {"layers": 2, "width": 16}, "text_cfg": {"width": 16, "heads": 2}}


def test_open_clips_own_architectures_have_no_error():
    names = open_clip.list_models()
    assert len(names) > 100
    assert [error for name in names for error in config_errors(open_clip.get_model_config(name), name)] == []


def test_the_small_ones_of_mmdl_are_found_by_name():
    assert set(own_architectures()) == {"vit_tiny_64", "resnet_tiny_64"}
    found = find_architecture("vit_tiny_64")
    assert found.config["vision_cfg"]["image_size"] == 64
    assert not found.is_builtin


def test_a_wrong_name_shows_the_nearest_of_both():
    with pytest.raises(UserError, match="unknown open_clip model 'vit_tiny_46'") as error:
        find_architecture("vit_tiny_46")
    assert error.value.valid.startswith("vit_tiny_64")
    with pytest.raises(UserError) as error:
        find_architecture("ViT-B-33")
    assert error.value.valid.startswith("ViT-B-32")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is no JSON: line 1"),
        ("[1]", "a list"),
        ('{"embed_dim": 8}', "the key 'vision_cfg' is missing"),
        (json.dumps(PLAIN | {"vision": 1}), "unknown key 'vision'"),
        (json.dumps(PLAIN | {"text_cfg": {"withd": 3}}), "unknown key 'text_cfg.withd'"),
        (json.dumps(PLAIN | {"text_cfg": 3}), "text_cfg is a int"),
        (json.dumps(PLAIN | {"embed_dim": "8"}), "embed_dim='8'"),
        (json.dumps(PLAIN | {"text_cfg": {"width": 0}}), "text_cfg.width=0"),
    ],
)
def test_a_broken_file_names_the_key(text, message, tmp_path):
    file = tmp_path / "arch.json"
    file.write_text(text)
    with pytest.raises(UserError) as error:
        find_architecture(str(file))
    assert message in str(error.value)
    assert str(file) in str(error.value)


def test_all_wrong_keys_come_at_once_with_the_nearest(tmp_path):
    file = tmp_path / "arch.json"
    file.write_text(json.dumps({"embed_dims": 8, "vision_cfg": {"layer": 2}, "text_cfg": {"head": 1}}))
    with pytest.raises(UserErrors) as error:
        find_architecture(str(file))
    assert len(error.value.errors) == 4
    assert [e.valid.split(",")[0] for e in error.value.errors] == [
        "embed_dim",
        "embed_dim",
        "layers",
        "heads",
    ]


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(UserError, match="there is no file"):
        find_architecture(str(tmp_path / "missing.json"))
    with pytest.raises(UserError, match=r"there is no file .*open_clip_config.json") as error:
        find_architecture(f"local-dir:{tmp_path}")
    assert "mmdl export" in error.value.fix
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": PLAIN}))
    with pytest.raises(UserError, match="is a folder") as error:
        find_architecture(str(tmp_path))
    assert error.value.fix == f"local-dir:{tmp_path}"


def test_a_default_that_is_written_out_changes_nothing_and_an_activation_does():
    written = PLAIN | {
        "quick_gelu": False,
        "text_cfg": PLAIN["text_cfg"] | {"layers": 12, "pool_type": "argmax"},
    }
    assert effective(written) == effective(PLAIN)
    assert architecture_hash(written) == architecture_hash(PLAIN)
    quick = PLAIN | {"quick_gelu": True}
    assert architecture_hash(quick) != architecture_hash(PLAIN)
    assert differences(PLAIN, quick) == ["quick_gelu: True, and the default here"]
    assert architecture_hash(PLAIN, mean=[0.5]) != architecture_hash(PLAIN, mean=[0.4])

"""What a user can get wrong with model=clip, from the command line: one clear error, exit code 2, no run left."""

import json
import sys

import open_clip
import pytest
import torch
from safetensors.torch import save_file

TINY = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 16, "head_width": 8, "patch_size": 8},
    "text_cfg": {"context_length": 12, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}
COMMON = (
    "data=shapes_captions",
    "model=clip",
    "task=contrastive",
    "evaluator=[retrieval]",
    "monitor.name=val/text_to_image/recall@1",
    "logger=none",
    *("data.scenes_train=12", "data.scenes_val=4", "data.scenes_test=4", "data.batch_size=4"),
    *("trainer.max_epochs=1", "run.root=runs", "run.id=x"),
)
CLIP_TOKENS = ("tokenizer@data.tokenizer=open_clip", "data.tokenizer.max_length=12")
WEIGHTS = ("model.name=tiny.json", "model.pretrained=tiny.pt", "data.image_size=32")


@pytest.fixture
def files(tmp_path, monkeypatch):
    """The current directory, with architectures and weights in it."""
    monkeypatch.chdir(tmp_path)
    architectures = {
        "tiny": TINY,
        "quick": TINY | {"quick_gelu": True},
        "deep": TINY | {"vision_cfg": TINY["vision_cfg"] | {"layers": 2}},
        "typo": TINY | {"text_cfg": TINY["text_cfg"] | {"contxt_length": 12}},
        "half": {"embed_dim": 24, "vision_cfg": TINY["vision_cfg"]},
    }
    for name, config in architectures.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(config))
    (tmp_path / "broken.json").write_text('{"embed_dim": 24,')
    torch.manual_seed(0)
    vision, text = open_clip.CLIPVisionCfg(**TINY["vision_cfg"]), open_clip.CLIPTextCfg(**TINY["text_cfg"])
    state = open_clip.CLIP(24, vision, text).state_dict()
    torch.save(state, tmp_path / "tiny.pt")
    (tmp_path / "told").mkdir()
    save_file(state, tmp_path / "told" / "open_clip_model.safetensors")
    document = {"model_cfg": architectures["quick"], "preprocess_cfg": {}}
    (tmp_path / "told" / "open_clip_config.json").write_text(json.dumps(document))
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "open_clip_config.json").write_text(json.dumps(document))
    return tmp_path


CASES = {
    "unknown architecture": (["model.name=ViT-B-33"], ["unknown open_clip model 'ViT-B-33'", "ViT-B-32"]),
    "unknown small one": (["model.name=vit_tiny_46"], ["unknown open_clip model", "vit_tiny_64"]),
    "unknown tag": (
        ["model.name=ViT-B-32", "model.pretrained=laion2b", *CLIP_TOKENS],
        ["'laion2b' is neither a pretrained tag of open_clip's 'ViT-B-32' nor a file", "laion2b_s34b_b79k"],
    ),
    "tag of another activation": (
        ["model.name=ViT-B-32", "model.pretrained=openai", *CLIP_TOKENS],
        ["'openai' were trained with QuickGELU, but 'ViT-B-32' is built with GELU", "ViT-B-32-quickgelu"],
    ),
    "missing JSON": (["model.name=nothing.json"], ["there is no file nothing.json"]),
    "broken JSON": (["model.name=broken.json"], ["broken.json is no JSON: line 1"]),
    "wrong key": (["model.name=typo.json"], ["unknown key 'text_cfg.contxt_length'", "context_length"]),
    "missing key": (["model.name=half.json"], ["half.json: the key 'text_cfg' is missing"]),
    "missing weights": (
        ["model.name=tiny.json", "model.pretrained=nothing.pt", *CLIP_TOKENS],
        ["no such weights file: nothing.pt"],
    ),
    "weights of another architecture": (
        ["model.name=deep.json", "model.pretrained=tiny.pt", *CLIP_TOKENS],
        ["tiny.pt does not fit open_clip's 'deep.json'"],
    ),
    "weights of another activation": (
        ["model.name=tiny.json", "model.pretrained=told/open_clip_model.safetensors", *CLIP_TOKENS],
        ["open_clip_config.json beside it: quick_gelu: True", "model.name=local-dir:told"],
    ),
    "folder without weights": (
        ["model.name=local-dir:empty", *CLIP_TOKENS],
        ["there are no weights in empty"],
    ),
    "folder with weights and a tag": (
        ["model.name=local-dir:told", "model.pretrained=openai"],
        ["'local-dir:told' brings its own weights"],
    ),
    "words for trained weights": (
        [*WEIGHTS, "data.tokenizer.max_length=12"],
        ["but open_clip's 'tiny.json' was built for 49408", "tokenizer@data.tokenizer=open_clip"],
    ),
    "words where the end is a mark": (
        ["model.name=tiny.json", "data.image_size=32"],
        ["'tiny.json' finds the end of a text by the id of its own", "vit_tiny_64"],
    ),
    "too long a context": (
        [*WEIGHTS, *CLIP_TOKENS, "data.tokenizer.max_length=40"],
        ["context_length=40: 'tiny.json' needs its 12 tokens"],
    ),
    "another context": (
        [*WEIGHTS, *CLIP_TOKENS, "data.tokenizer.max_length=10", "model.context_length=12"],
        ["texts have 10 tokens, and 'tiny.json' computes 12"],
    ),
    "another image size": (
        [*WEIGHTS, *CLIP_TOKENS, "data.image_size=48"],
        ["takes 32 x 32 pixels, and data.image_size=48", "data.image_size=32"],
    ),
    "another projection": (
        [*WEIGHTS, *CLIP_TOKENS, "model.embed_dim=16"],
        ["embed_dim=16, but the weights of 'tiny.json' project to 24", "model=clip_towers"],
    ),
    "too many groups": (
        ["task.train_last={image_tower*: 9}"],
        ["task.train_last: 'image_tower*' matches 6 parts", "0 to 6"],
    ),
    "no such group": (["task.freeze=[image_towr*]"], ["task.freeze: 'image_towr*' matches no part"]),
}


@pytest.mark.parametrize("case", CASES)
def test_is_refused_with_what_to_do(case, files, monkeypatch, capsys):
    from mmdl.__main__ import main

    overrides, messages = CASES[case]
    verb = ("train", "check")[list(CASES).index(case) % 2]  # both do the same before a run begins
    monkeypatch.setattr(sys, "argv", ["mmdl", verb, *COMMON, *overrides])
    code = main()
    said = capsys.readouterr().err
    assert code == 2, said
    assert "Traceback" not in said
    for message in messages:
        assert message in said
    assert not (files / "runs" / "x").exists()


def test_the_same_files_in_order_train(files, monkeypatch, capsys):
    from mmdl.__main__ import main

    for overrides in (
        ["model.name=local-dir:told", "data.image_size=32", *CLIP_TOKENS],
        [*WEIGHTS, *CLIP_TOKENS],
    ):
        monkeypatch.setattr(
            sys, "argv", ["mmdl", "check", *COMMON, *overrides, "task.train_last={text_tower*: 1}"]
        )
        assert main() == 0, capsys.readouterr().err

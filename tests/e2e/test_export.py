"""A folder that `mmdl export` wrote is open_clip's own: it loads there, and gives the run's embeddings."""

import json

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

from mmdl.data.transforms.image import load_image
from mmdl.errors import UserError
from mmdl.models.clip import CLIP
from mmdl.runs.loading import load_run

PLAIN = {
    "embed_dim": 24,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 16, "head_width": 8, "patch_size": 8},
    "text_cfg": {"context_length": 24, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2},
}
TEXTS = ["a red circle left of a square", "two small blue squares", "nothing"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory, run_command):
    """Folder of three runs: `plain` with open_clip's tokenizer, `words` with words and a bias, `towers`."""
    root = tmp_path_factory.mktemp("export")
    architecture = root / "plain.json"
    architecture.write_text(json.dumps(PLAIN))
    common = (
        "data=shapes_captions",
        "task=contrastive",
        "evaluator=[retrieval]",
        "monitor.name=val/text_to_image/recall@1",
        "logger=none",
        *("data.scenes_train=24", "data.scenes_val=8", "data.scenes_test=8", "data.batch_size=8"),
        "trainer.max_epochs=1",
        "optimizer.lr=0.01",
        f"run.root={root}",
    )
    tokenizer = ("tokenizer@data.tokenizer=open_clip", f"data.tokenizer.name={architecture}")
    plain = ("model=clip", f"model.name={architecture}", "data.image_size=32", *tokenizer)
    run_command("train", *common, *plain, "run.id=plain")
    bias = ("task.loss=siglip", "model.init_scale=10", "model.init_bias=-10", "data.resize=crop")
    run_command("train", *common, "model=clip", *bias, "model.mean=[0.8,0.8,0.8]", "run.id=words")
    run_command("train", *common, "model=clip_towers", "run.id=towers")
    return root


def trained_model(root, name):
    """The model of a run, built from its checkpoint."""
    loaded = load_run(root, name)
    state = {k.removeprefix("model."): v for k, v in loaded.checkpoint["state_dict"].items()}
    config = loaded.config.model
    model = CLIP(**{key: value for key, value in config.items() if key != "_target_"}).eval()
    model.load_state_dict(state)
    return model


def test_open_clip_loads_the_folder_and_gives_equal_embeddings(runs, run_command, tmp_path, capsys):
    run_command("export", "run=plain", f"root={runs}", f"output={tmp_path / 'out'}")
    said = capsys.readouterr().out
    assert "differ from the run's by at most" in said
    source = f"local-dir:{tmp_path / 'out'}"
    theirs, _, preprocess = open_clip.create_model_and_transforms(source)
    assert type(theirs) is open_clip.CLIP  # the class that open_clip takes for such an architecture by itself
    theirs = theirs.eval()
    ours = trained_model(runs, "plain")
    pixels = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    tokens = open_clip.get_tokenizer(source)(TEXTS)
    assert tokens.shape == (3, 24)
    with torch.no_grad():
        image = theirs.encode_image(ours.image_tower.normalize(pixels), normalize=True)
        torch.testing.assert_close(image, ours.encode_images(pixels), rtol=0, atol=1e-6)
        text = theirs.encode_text(tokens, normalize=True)
        torch.testing.assert_close(text, ours.encode_texts(tokens, tokens != 0), rtol=0, atol=1e-6)
    assert theirs.logit_scale.equal(ours.logit_scale)
    # shapes don't show the activation: the config and the header of the file do
    assert isinstance(theirs.transformer.resblocks[0].mlp.gelu, open_clip.transformer.QuickGELU)
    with safe_open(tmp_path / "out" / "open_clip_model.safetensors", "pt") as file:
        assert json.loads(file.metadata()["mmdl_model_cfg"])["quick_gelu"] is True
    assert preprocess.transforms[0].size == (32, 32)


def test_an_image_file_gives_the_runs_embedding_through_open_clips_preprocessing(runs, run_command, tmp_path):
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (50, 90, 3), dtype=np.uint8)).save(tmp_path / "a.png")
    run_command("export", "run=plain", f"root={runs}", f"output={tmp_path / 'out'}")
    theirs, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{tmp_path / 'out'}")
    with torch.no_grad():
        found = theirs.eval().encode_image(preprocess(Image.open(tmp_path / "a.png"))[None], normalize=True)
        expected = trained_model(runs, "plain").encode_images(
            load_image(tmp_path / "a.png", 32, "squash")[None]
        )
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


def test_a_run_with_words_and_a_bias(runs, run_command, tmp_path, capsys):
    run_command("export", "run=words", f"root={runs}")
    folder = runs / "words" / "export"
    assert "tokenizer mmdl's own" in capsys.readouterr().out
    theirs, *_ = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    ours = trained_model(runs, "words")
    assert theirs.logit_bias.equal(ours.logit_bias)
    assert theirs.visual.preprocess_cfg["mean"] == [0.8, 0.8, 0.8]
    words = json.loads((folder / "mmdl_tokenizer.json").read_text())["words"]
    ids = torch.tensor([[2 + words.index("red"), 2 + words.index("circle")] + [0] * 22])
    with torch.no_grad():
        text = theirs.eval().encode_text(ids, normalize=True)
        torch.testing.assert_close(text, ours.encode_texts(ids, ids != 0), rtol=0, atol=1e-6)


def test_the_folder_is_a_model_for_mmdl_too(runs, run_command, tmp_path):
    run_command("export", "run=plain", f"root={runs}", f"output={tmp_path / 'out'}")
    ours, again = trained_model(runs, "plain"), CLIP(f"local-dir:{tmp_path / 'out'}").eval()
    pixels = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    with torch.no_grad():
        assert again.encode_images(pixels).equal(ours.encode_images(pixels))
    moved = tmp_path / "moved.safetensors"  # without the config beside it: its header still says QuickGELU
    (tmp_path / "out" / "open_clip_model.safetensors").rename(moved)
    (tmp_path / "gelu.json").write_text(json.dumps(PLAIN | {"quick_gelu": False}))
    with pytest.raises(UserError, match="says its header: quick_gelu: True, and the default here"):
        CLIP(str(tmp_path / "gelu.json"), pretrained=str(moved))
    # the shapes alone would have let it through
    bare = tmp_path / "bare.safetensors"
    with safe_open(moved, "pt") as file:
        save_file({key: file.get_tensor(key) for key in file.keys()}, bare)  # noqa: SIM118
    CLIP(str(tmp_path / "gelu.json"), pretrained=str(bare))


def test_an_edited_architecture_is_refused_by_export_and_eval(runs, run_command, tmp_path):
    architecture = runs / "plain.json"
    architecture.write_text(json.dumps(PLAIN | {"quick_gelu": False}))
    try:
        for verb in ("export", "eval"):
            with pytest.raises(UserError, match="trained in another architecture than"):
                run_command(verb, "run=plain", f"root={runs}")
    finally:
        architecture.write_text(json.dumps(PLAIN))
    assert not (runs / "plain" / "export").exists()


def test_other_runs_are_refused(runs, run_command):
    with pytest.raises(UserError, match="model=clip_towers: open_clip has no architecture") as error:
        run_command("export", "run=towers", f"root={runs}")
    assert "model=clip" in error.value.valid
    with pytest.raises(UserError, match="there is no run 'plian'"):
        run_command("export", "run=plian", f"root={runs}")


def test_runs_of_other_tasks_are_refused(trained, run_command):
    with pytest.raises(UserError, match="is no encoder of images and texts"):
        run_command("export", f"run={trained.id}", f"root={trained.root}")


def test_other_files_stay_and_an_earlier_export_is_replaced(runs, run_command, tmp_path):
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="holds other files, which stay as they are"):
        run_command("export", "run=plain", f"root={runs}", f"output={foreign}")
    assert [path.name for path in foreign.iterdir()] == ["thesis.txt"]
    target = tmp_path / "out"
    target.mkdir()  # empty is taken
    run_command("export", "run=plain", f"root={runs}", f"output={target}")
    (target / "stale").write_text("of the export before")
    run_command("export", "run=plain", f"root={runs}", f"output={target}")
    assert sorted(path.name for path in target.iterdir()) == [
        "open_clip_config.json",
        "open_clip_model.safetensors",
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["foreign", "out"]


def test_nothing_half_written_is_left(runs, run_command, tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mmdl.exporting.save_file", full)
    with pytest.raises((UserError, OSError)):
        run_command("export", "run=plain", f"root={runs}", f"output={tmp_path / 'out'}")
    assert list(tmp_path.iterdir()) == []

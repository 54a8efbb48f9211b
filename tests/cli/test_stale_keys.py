import pytest

from mmdl.assembly import static_errors
from mmdl.cli.app import compose


@pytest.mark.parametrize(
    ("overrides", "gone", "kept"),
    [
        (["+experiment=clip", "model=clip"], ["image_tower"], ["name", "context_length"]),
        (["+experiment=clip"], [], ["image_tower"]),
        (["+experiment=vqa", "model/image_tower=timm"], ["image_tower.mean"], ["image_tower.name"]),
    ],
)
def test_keys_for_a_replaced_choice_are_passed_over(overrides, gone, kept, capsys):
    cfg = compose("train", overrides)
    assert static_errors(cfg) == []
    for key in gone:
        parent, _, last = f"model.{key}".rpartition(".")
        node = cfg
        for part in parent.split("."):
            node = node[part]
        assert last not in node
    for key in kept:
        node = cfg.model
        for part in key.split("."):
            node = node[part]


def test_it_is_said_once(capsys):
    from mmdl.cli import guard

    guard._PASSED_OVER.clear()
    compose("train", ["+experiment=clip", "model=clip"])
    compose("train", ["+experiment=clip", "model=clip"])
    assert capsys.readouterr().err.splitlines() == [
        "passed over  model.image_tower: of the experiment/clip, not of this model"
    ]


def test_what_the_command_line_names_itself_is_refused():
    cfg = compose("train", ["+experiment=clip", "model=clip", "model.image_tower.mean=[1,1,1]"])
    errors = [str(error) for error in static_errors(cfg)]
    assert any("model.image_tower" in error for error in errors)


def test_a_misspelt_key_of_an_experiment_is_still_an_error(tmp_path, monkeypatch):
    folder = tmp_path / "conf" / "experiment"
    folder.mkdir(parents=True)
    text = "# @package _global_\ndefaults:\n  - override /model: cnn\nmodel:\n  chanels: [4, 8]\n"
    (folder / "mine.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    cfg = compose("train", ["+experiment=mine", "data=mnist", "task=classification"])
    assert any("chanels" in str(error) for error in static_errors(cfg))

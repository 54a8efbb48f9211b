import json

import pytest

from mmdl.commands.data import main
from mmdl.data.vqa_v2 import write_fixture
from mmdl.errors import UserError


def test_generate_makes_any_size(tmp_path, capsys):
    main(["generate", "shapes", "--root", str(tmp_path / "s"), "--train", "7", "--val", "3", "--test", "2"])
    assert "data.root=" in capsys.readouterr().out
    counts = json.loads((tmp_path / "s" / "dataset.json").read_text())["counts"]
    assert {split: found["images"] for split, found in counts.items()} == {"train": 7, "val": 3, "test": 2}


def test_prepare_takes_files_that_lie_there(tmp_path, capsys):
    root = write_fixture(tmp_path)["data.root"]
    main(["prepare", "vqa_v2", "--root", root])
    assert f"ready: python -m mmdl train +experiment=vqa_v2 data.root={root}" in capsys.readouterr().out


def test_where_names_the_data_home(data_home, capsys):
    main(["where"])
    assert capsys.readouterr().out.strip() == str(data_home)


@pytest.mark.parametrize(
    "words", [["generate", "circles"], ["prepare"], [], ["generate", "shapes", "--train", "x"]]
)
def test_a_mistake_is_a_user_error(words):
    with pytest.raises(UserError, match="data:"):
        main(words)

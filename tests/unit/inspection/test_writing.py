import json

import numpy as np

from mmdl.inspection.drawing.pixels import image_picture
from mmdl.inspection.page.parts import Figure, Page
from mmdl.inspection.writing import write_inspection


def page(*names):
    picture = image_picture(np.zeros((1, 4, 4)), 40)
    return Page("title", "lead", [], [Figure(name, picture, name, name) for name in names], [], [])


def test_pictures_page_and_facts_are_written(tmp_path):
    found = write_inspection(tmp_path / "new", page("input", "layers.0/maps"), {"prediction": "cat"})
    assert [path.name for path in found] == ["01-input.png", "02-layers.0-maps.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in found)
    facts = json.loads((tmp_path / "new" / "inspection.json").read_text())
    assert facts == {"prediction": "cat", "pictures": ["01-input.png", "02-layers.0-maps.png"]}
    assert "<title>title</title>" in (tmp_path / "new" / "index.html").read_text()


def test_pictures_of_an_earlier_inspection_go_and_other_files_stay(tmp_path):
    write_inspection(tmp_path, page("input", "gradient"), {})
    (tmp_path / "mine.png").write_bytes(b"mine")
    write_inspection(tmp_path, page("input"), {})
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "01-input.png",
        "index.html",
        "inspection.json",
        "mine.png",
    ]


def test_a_foreign_facts_file_removes_nothing(tmp_path):
    (tmp_path / "keep.png").write_bytes(b"")
    for text in ("[1]", "{", '{"pictures": ["../keep.png", "/keep.png"]}', '{"pictures": 3}'):
        (tmp_path / "inner").mkdir(exist_ok=True)
        (tmp_path / "inner" / "inspection.json").write_text(text)
        write_inspection(tmp_path / "inner", page("input"), {})
        assert (tmp_path / "keep.png").is_file()

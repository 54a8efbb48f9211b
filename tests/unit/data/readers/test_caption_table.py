"""Own captions in tables: the formats, and what can be wrong in them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mmdl.data.readers.caption_table import read_caption_table
from mmdl.errors import UserError


@pytest.fixture
def read(tmp_path: Path) -> Any:
    """Write a table and read it."""
    (tmp_path / "sub").mkdir()
    for name in ("a.jpg", "b.jpg", "sub/c.jpg"):
        Image.new("RGB", (4, 4)).save(tmp_path / name)

    def run(content: Any, name: str = "t.jsonl", **options: Any) -> Any:
        lines = [row if isinstance(row, str) else json.dumps(row) for row in content]
        (tmp_path / name).write_text("\n".join(lines) + "\n")
        return read_caption_table(tmp_path / name, **options)

    return run


ROWS = [
    {"image": "a.jpg", "caption": "one, two"},
    {"image": "b.jpg", "captions": ["three", "four"], "source": "web"},
    {"image": "./a.jpg", "caption": "five"},
    {"image": "sub/c.jpg", "caption": "six"},
]
EXPECTED = (["a.jpg", "b.jpg", "sub/c.jpg"], ["one, two", "five", "three", "four", "six"], [0, 2, 4, 5])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.jsonl", ROWS),
        ("t.json", [json.dumps(ROWS)]),
        ("t.csv", ["image,captions", 'a.jpg,"one, two"', "b.jpg,three| four", "a.jpg,five", "sub/c.jpg,six"]),
        (
            "t.csv",
            [
                "image;caption;x",
                "a.jpg;one, two;1",
                "b.jpg;three;",
                "b.jpg;four;",
                "a.jpg;five;",
                "sub/c.jpg;six;",
            ],
        ),
        (
            "t.tsv",
            [
                "caption\timage",
                "one, two\ta.jpg",
                "three\tb.jpg",
                "four\tb.jpg",
                "five\ta.jpg",
                "six\tsub/c.jpg",
            ],
        ),
    ],
)
def test_every_format_gives_the_same(name: str, content: Any, read: Any) -> None:
    index = read(content, name)
    assert (index.image_ids, index.captions, index.offsets.tolist()) == EXPECTED
    assert (index.skipped, index.joined) == ({}, 0)


def test_equal_lines_are_joined_and_counted(read: Any) -> None:
    index = read([*ROWS, ROWS[0], {"image": "b.jpg", "captions": ["four", "seven"]}])
    assert index.joined == 2
    assert index.captions == ["one, two", "five", "three", "four", "seven", "six"]


BAD = {
    "empty caption": ({"image": "a.jpg", "caption": " "}, "line 5: empty caption"),
    "empty among several": ({"image": "a.jpg", "captions": ["x", ""]}, "line 5: empty caption"),
    "no string": ({"image": "a.jpg", "caption": ["x"]}, "line 5: wrong type: 'caption' is a list"),
    "no list": ({"image": "a.jpg", "captions": "x"}, "line 5: wrong type: 'captions' is a string"),
    "both": ({"image": "a.jpg", "caption": "x", "captions": ["y"]}, "line 5: wrong type: both"),
    "misspelt": ({"image": "a.jpg", "captoin": "x"}, "line 5: missing key: no 'caption'; present: captoin"),
    "no image": ({"caption": "x"}, "line 5: missing key: no 'image'"),
    "missing image": ({"image": "d.jpg", "caption": "x"}, r"line 5: missing image: .*d\.jpg"),
    "outside": ({"image": "../a.jpg", "caption": "x"}, "line 5: bad image path"),
    "no captions": ({"image": "d.jpg", "captions": []}, "line 5: image without caption: image 'd.jpg'"),
    "only a name": ({"image": "d.jpg"}, "line 5: image without caption: image 'd.jpg'"),
    "malformed": ('{"image": ', "line 5: malformed JSON"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_row_is_named_or_left_out_and_counted(case: str, read: Any) -> None:
    row, named = BAD[case]
    with pytest.raises(UserError, match=named):
        read([*ROWS, row])
    index = read([*ROWS, row], on_bad_sample="skip")
    assert sum(index.skipped.values()) == 1
    assert index.image_ids == EXPECTED[0]


def test_one_id_for_two_files_names_both(read: Any) -> None:
    rows = [{**row, "image_id": number} for row, number in zip(ROWS, (1, 2, 1, 3), strict=True)]
    assert read(rows).image_ids == [1, 2, 3]
    rows[3]["image_id"] = 2
    with pytest.raises(
        UserError, match=r"line 4: duplicate image id: 2 is b\.jpg at line 2, and sub/c\.jpg here"
    ):
        read(rows)
    index = read(rows, on_bad_sample="skip")
    assert (index.image_ids, index.skipped) == ([1], {"duplicate image id": 1})
    del rows[0]["image_id"]
    with pytest.raises(UserError, match="line 1: missing key: no 'image_id'"):
        read(rows)


def test_cells(read: Any) -> None:
    with pytest.raises(UserError, match="no column 'caption' or 'captions'"):
        read(["image,text", "a.jpg,x"], "t.csv")
    with pytest.raises(UserError, match="line 3: empty caption: an empty cell"):
        read(["image,caption", "a.jpg,x", "b.jpg,"], "t.csv")
    with pytest.raises(UserError, match="line 2: empty caption"):
        read(["image,captions", "a.jpg,x||y"], "t.csv")
    with pytest.raises(UserError, match="no column 'image'"):
        read(["img,caption", "a.jpg,x"], "t.csv")


def test_an_official_file_is_refused_with_the_way_out(read: Any) -> None:
    with pytest.raises(UserError, match="official format of COCO") as caught:
        read([json.dumps({"images": [], "annotations": []})], "t.json")
    assert "data=coco_captions" in caught.value.fix


def test_image_root(read: Any, tmp_path: Path) -> None:
    index = read([{"image": "c.jpg", "caption": "x"}], image_root=tmp_path / "sub")
    assert index.image_paths == [str(tmp_path / "sub/c.jpg")]
    index = read(
        [{"image": str(tmp_path / "sub/c.jpg"), "caption": "x"}, {"image": "sub/c.jpg", "caption": "y"}]
    )
    assert (index.image_ids, index.captions) == (["sub/c.jpg"], ["x", "y"])
    with pytest.raises(UserError, match="folder of images not found"):
        read(ROWS, image_root=tmp_path / "none")

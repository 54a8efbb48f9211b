"""COCO's official captions: what is read, and every way in which a file can be wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mmdl.data.readers.captions_official import read_captions
from mmdl.errors import UserError


def document() -> dict[str, Any]:
    names = {9: "a.jpg", 25: "b.jpg", 30: "c.jpg"}
    return {
        "images": [{"id": image, "file_name": name, "height": 1} for image, name in names.items()],
        "annotations": [
            {"id": 100 + number, "image_id": image, "caption": f"caption {number} of {image}"}
            for number, image in enumerate((25, 9, 30, 9, 25))
        ],
        "licenses": [],
    }


@pytest.fixture
def read(tmp_path: Path) -> Any:
    """Write a document and read it."""
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        Image.new("RGB", (4, 4)).save(tmp_path / name)

    def run(content: Any, **options: Any) -> Any:
        (tmp_path / "captions.json").write_text(content if isinstance(content, str) else json.dumps(content))
        return read_captions(tmp_path / "captions.json", tmp_path, **options)

    return run


def test_images_in_their_order_with_their_captions(read: Any, tmp_path: Path) -> None:
    index = read(document())
    assert index.image_ids == [9, 25, 30]
    assert index.image_paths == [str(tmp_path / name) for name in ("a.jpg", "b.jpg", "c.jpg")]
    assert index.captions == [f"caption {n} of {i}" for n, i in ((1, 9), (3, 9), (0, 25), (4, 25), (2, 30))]
    assert index.offsets.tolist() == [0, 2, 4, 5]
    assert (index.skipped, index.joined, index.notes) == ({}, 0, [])


def changed(change: Any) -> dict[str, Any]:
    content = document()
    change(content["images"], content["annotations"])
    return content


BAD = {
    # change -> what the error names, the counted reason, ids that are left
    "empty caption": (
        lambda i, a: a[2].update(caption=""),
        r"annotations\[2\]: empty caption",
        {"empty caption": 1, "image without caption": 1},
        [9, 25],
    ),
    "only spaces": (
        lambda i, a: a[1].update(caption=" \n "),
        r"annotations\[1\]: empty caption",
        {"empty caption": 1},
        [9, 25, 30],
    ),
    "no string": (
        lambda i, a: a[1].update(caption=7),
        r"annotations\[1\]: wrong type: 'caption' is a number",
        {"wrong type": 1},
        [9, 25, 30],
    ),
    "no caption key": (
        lambda i, a: a[1].pop("caption"),
        r"annotations\[1\]: missing key: no 'caption'",
        {"missing key": 1},
        [9, 25, 30],
    ),
    "half a character": (
        lambda i, a: a[1].update(caption="\ud800"),
        "surrogate",
        {"wrong type": 1},
        [9, 25, 30],
    ),
    "no captions": (
        lambda i, a: a.pop(2),
        r"images\[2\]: image without caption: image 30",
        {"image without caption": 1},
        [9, 25],
    ),
    "one id for two files": (
        lambda i, a: i.append({"id": 9, "file_name": "c.jpg"}),
        r"images\[3\]: duplicate image id: 9 is a.jpg at images\[0\], and c.jpg here",
        {"duplicate image id": 1},
        [25, 30],
    ),
    "unknown image": (
        lambda i, a: a[2].update(image_id=31),
        r"annotations\[2\]: caption of an unknown image: image 31",
        {"caption of an unknown image": 1, "image without caption": 1},
        [9, 25],
    ),
    "missing file": (
        lambda i, a: i[1].update(file_name="x.jpg"),
        r"images\[1\]: missing image: .*x\.jpg",
        {"missing image": 1},
        [9, 30],
    ),
    "outside the folder": (
        lambda i, a: i[1].update(file_name="../b.jpg"),
        r"images\[1\]: bad image path",
        {"bad image path": 1},
        [9, 30],
    ),
    "no id": (
        lambda i, a: i[1].pop("id"),
        r"images\[1\]: missing key: no 'id'",
        {"missing key": 1, "caption of an unknown image": 2},
        [9, 30],
    ),
    "an image that is none": (
        lambda i, a: i.append(3),
        r"images\[3\]: wrong type: a number",
        {"wrong type": 1},
        [9, 25, 30],
    ),
    "an annotation that is none": (
        lambda i, a: a.append(None),
        r"annotations\[5\]: wrong type: null",
        {"wrong type": 1},
        [9, 25, 30],
    ),
    "an annotation of nothing": (
        lambda i, a: a[0].update(image_id=None),
        r"annotations\[0\]: wrong type: 'image_id'",
        {"wrong type": 1},
        [9, 25, 30],
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_sample_is_named_or_left_out_and_counted(case: str, read: Any) -> None:
    change, named, counts, left = BAD[case]
    content = changed(change)
    with pytest.raises(UserError, match=named) as caught:
        read(content)
    assert "data.on_bad_sample=skip" in caught.value.fix
    index = read(content, on_bad_sample="skip")
    assert index.skipped == counts
    assert index.image_ids == left
    assert all(text.strip() for text in index.captions)


def test_all_bad_samples_are_named_at_once(read: Any) -> None:
    def change(images: Any, annotations: Any) -> None:
        annotations[0]["caption"], annotations[1]["caption"], images[2]["file_name"] = "", None, "x.jpg"

    with pytest.raises(UserError) as caught:
        read(changed(change))
    assert "3 bad samples" in str(caught.value)
    for named in ("annotations[0]: empty caption", "annotations[1]: wrong type", "images[2]: missing image"):
        assert named in str(caught.value)


def test_what_is_there_twice_is_joined_and_counted(read: Any) -> None:
    def change(images: Any, annotations: Any) -> None:
        images.append(dict(images[0]))
        annotations.append(dict(annotations[0]))
        annotations.append({**annotations[1], "id": 999})  # another person wrote the same words

    index = read(changed(change))
    assert index.joined == 2
    assert index.skipped == {}
    assert index.captions.count("caption 0 of 25") == 1
    assert index.captions.count("caption 1 of 9") == 2


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("", "is empty"),
        ("{", "malformed JSON"),
        ("[]", "holds a list"),
        ('{"image": [], "annotations": []}', "no key 'images'"),
        ('{"images": 3, "annotations": []}', "'images' is a number"),
        ('{"images": [], "annotations": []}', "'images' is empty"),
    ],
)
def test_a_file_that_is_something_else(content: str, named: str, read: Any) -> None:
    for policy in ("raise", "skip"):
        with pytest.raises(UserError, match=named):
            read(content, on_bad_sample=policy)


def test_nothing_is_left(read: Any) -> None:
    with pytest.raises(UserError, match="none of 5 samples can be used"):
        read(changed(lambda i, a: [entry.update(caption="") for entry in a]), on_bad_sample="skip")


def test_files_that_are_not_there(read: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="folder of images not found"):
        read_captions(tmp_path / "captions.json", tmp_path / "none")
    with pytest.raises(UserError, match="file not found"):
        read_captions(tmp_path / "none.json", tmp_path)


def test_real_captions(real_data: Path) -> None:
    folder = real_data / "coco"
    found = {}
    for split in ("train2014", "val2014"):
        index = read_captions(folder / f"annotations/captions_{split}.json", folder / "images" / split)
        found[split] = (len(index), len(index.captions), index.skipped)
    assert found == {"train2014": (23, 115, {}), "val2014": (139, 695, {})}
    assert "A stop sign is mounted upside-down on it's post. " in index.captions

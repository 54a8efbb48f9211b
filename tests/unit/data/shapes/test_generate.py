import json
import multiprocessing
import re
import shutil
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from mmdl.data.shapes import generate as generate_module
from mmdl.data.shapes import generate_shapes
from mmdl.data.shapes.split import SPLITS, sample_split
from mmdl.errors import UserError

TINY = {"train": 4, "val": 2, "test": 2, "progress": False}
TINY_DIGEST = "314a2d2c92872e28650ee097b7ace2d69280d09ea78558414bd55410a2f874d5"


def test_the_same_arguments_make_the_same_data_on_any_platform(tmp_path):
    manifest = generate_shapes(tmp_path / "a", **TINY)
    assert manifest["digest"] == TINY_DIGEST
    assert generate_shapes(tmp_path / "b", **TINY) == manifest
    names = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file())
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert generate_shapes(tmp_path / "c", **TINY, seed=1)["digest"] != TINY_DIGEST


def test_test_split_does_not_depend_on_the_size_of_train(tmp_path):
    small = generate_shapes(tmp_path / "a", **TINY)
    large = generate_shapes(tmp_path / "b", **TINY | {"train": 9})
    for name in ("annotations/questions_test.json", "annotations/annotations_val.json", "scenes_test.json"):
        assert small["files"][name] == large["files"][name]
    assert small["pixels"]["test"] == large["pixels"]["test"]


def test_files_have_the_official_keys(shapes):
    _, read = shapes
    captions = read("annotations/captions_test.json")
    assert captions.keys() == {"info", "images", "licenses", "annotations"}
    info = {"description", "url", "version", "year", "contributor", "date_created"}
    assert captions["info"].keys() == info
    keys = {"license", "file_name", "coco_url", "height", "width", "date_captured", "flickr_url", "id"}
    assert all(row.keys() == keys for row in captions["images"])
    assert all(row.keys() == {"image_id", "id", "caption"} for row in captions["annotations"])

    questions = read("annotations/questions_test.json")
    top = {"info", "task_type", "data_type", "license", "data_subtype", "questions"}
    assert questions.keys() == top
    assert questions["info"].keys() == info | {"license"}
    assert all(row.keys() == {"image_id", "question", "question_id"} for row in questions["questions"])

    annotations = read("annotations/annotations_test.json")
    assert annotations.keys() == {"info", "data_type", "license", "data_subtype", "annotations"}
    keys = {"question_type", "multiple_choice_answer", "answers", "image_id", "answer_type", "question_id"}
    for row in annotations["annotations"]:
        assert row.keys() == keys
        assert row["answer_type"] in {"yes/no", "number", "other"}
        assert [answer["answer_id"] for answer in row["answers"]] == list(range(1, 11))
        assert all(a.keys() == {"answer", "answer_confidence", "answer_id"} for a in row["answers"])
        assert all(answer["answer_confidence"] in {"yes", "maybe", "no"} for answer in row["answers"])


def test_counts_ids_and_pictures_fit_together(shapes):
    root, read = shapes
    manifest = read("dataset.json")
    assert manifest["counts"]["train"] == {"images": 600, "captions": 3000, "questions": 5400}
    seen = set()
    for split, number in (("train", 600), ("val", 20), ("test", 120)):
        images = read(f"annotations/captions_{split}.json")["images"]
        ids = {row["id"] for row in images}
        assert len(ids) == number
        assert not ids & seen
        seen |= ids
        for row in images[:5]:
            assert re.fullmatch(rf"SHAPES_{split}_\d{{12}}\.png", row["file_name"])
            with Image.open(root / "images" / split / row["file_name"]) as image:
                assert (image.mode, image.format, image.size) == ("RGB", "PNG", (row["width"], row["height"]))
        captions = Counter(
            row["image_id"] for row in read(f"annotations/captions_{split}.json")["annotations"]
        )
        assert captions == dict.fromkeys(ids, 5)
        questions = read(f"annotations/questions_{split}.json")["questions"]
        annotations = read(f"annotations/annotations_{split}.json")["annotations"]
        assert [q["question_id"] for q in questions] == [a["question_id"] for a in annotations]
        assert all(row["question_id"] // 1000 == row["image_id"] for row in questions + annotations)
        assert len({row["question_id"] for row in questions}) == len(questions)
        assert len({(row["image_id"], row["question"]) for row in questions}) == len(questions)
        assert [scene["image_id"] for scene in read(f"scenes_{split}.json")["scenes"]] == sorted(ids)


def test_splits_share_no_scene(shapes):
    _, read = shapes
    scenes = [scene for split in SPLITS for scene in read(f"scenes_{split}.json")["scenes"]]
    assert len({json.dumps(sorted(map(json.dumps, scene["objects"]))) for scene in scenes}) == 740


def test_a_scene_that_is_taken_is_drawn_anew():
    # Single objects: few enough different scenes to meet by chance.
    taken = set()
    made = [scene for split in SPLITS for scene in sample_split(0, split, 4000, 1, 1, taken)]
    assert len({scene.signature() for scene in made}) == len(taken) == 12_000
    free = [scene for split in SPLITS for scene in sample_split(0, split, 4000, 1, 1, set())]
    assert len({scene.signature() for scene in free}) < 12_000


def test_boxes_hold_their_objects_and_do_not_overlap(shapes):
    root, read = shapes
    pictures = {row["id"]: row["file_name"] for row in read("annotations/captions_val.json")["images"]}
    for scene in read("scenes_val.json")["scenes"]:
        pixels = np.asarray(Image.open(root / "images" / "val" / pictures[scene["image_id"]])).astype(int)
        painted = np.abs(pixels - scene["background"]).max(axis=2) > 12
        for item in scene["objects"]:
            left, top, width, height = item["box"]
            assert 0 <= left <= left + width <= 64
            assert 0 <= top <= top + height <= 64
            rows, columns = slice(int(top), int(top + height) + 1), slice(int(left), int(left + width) + 1)
            assert painted[rows, columns].any(axis=1).mean() > 0.8  # the box is tight
            assert painted[rows, columns].any(axis=0).mean() > 0.8
        outside = painted.copy()
        for item in scene["objects"]:
            left, top, width, height = item["box"]
            outside[int(top) : int(top + height) + 1, int(left) : int(left + width) + 1] = False
        assert not outside.any()


def test_a_complete_folder_is_returned_at_once_and_not_touched(tmp_path):
    first = generate_shapes(tmp_path / "data", **TINY)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "data").rglob("*")}
    assert generate_shapes(str(tmp_path / "data"), **TINY) == first
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "data").rglob("*")} == before


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "data").mkdir()
    assert generate_shapes(tmp_path / "data", **TINY)["digest"] == TINY_DIGEST


def test_a_folder_with_other_content_is_refused_and_kept(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "thesis.txt").write_text("three years")
    with pytest.raises(UserError, match="something else than a shapes data set"):
        generate_shapes(tmp_path / "data", **TINY)
    assert (tmp_path / "data" / "thesis.txt").read_text() == "three years"
    with pytest.raises(UserError, match="something else"):
        generate_shapes(tmp_path / "data" / "thesis.txt", **TINY)


def test_a_data_set_of_other_arguments_is_refused_by_name(tmp_path):
    generate_shapes(tmp_path / "data", **TINY)
    with pytest.raises(
        UserError, match=r"data holds a shapes data set with seed=0 \(not 7\), train=4 \(not 5\)"
    ):
        generate_shapes(tmp_path / "data", **TINY | {"train": 5, "seed": 7})


@pytest.mark.parametrize(
    "name", ["annotations/questions_val.json", "images/test/SHAPES_test_000002000002.png"]
)
@pytest.mark.parametrize("damage", ["missing", "empty"])
def test_a_damaged_data_set_is_noticed(tmp_path, name, damage):
    generate_shapes(tmp_path / "data", **TINY)
    path = tmp_path / "data" / name
    path.unlink()
    if damage == "empty":
        path.touch()
    with pytest.raises(UserError, match="damaged"):
        generate_shapes(tmp_path / "data", **TINY)


def test_an_interrupted_run_leaves_nothing_behind(tmp_path, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(generate_module, "_write_json", interrupt)
        with pytest.raises(KeyboardInterrupt):
            generate_shapes(tmp_path / "data", **TINY)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []
    # SIGKILL leaves a part folder: the next run removes its own kind, and nobody else's.
    (tmp_path / ".data.part-123" / "images").mkdir(parents=True)
    (tmp_path / ".other.part-123").mkdir()
    generate_shapes(tmp_path / "data", **TINY)
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == [".other.part-123", "data"]


def test_a_full_disk_is_a_user_error_that_keeps_nothing(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
        with pytest.raises(UserError, match=r"0 MB free, about 0 MB needed|MB free, about"):
            generate_shapes(tmp_path / "data", **TINY)

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(generate_module, "_write_json", full)
    with pytest.raises(UserError, match="No space left on device"):
        generate_shapes(tmp_path / "data", **TINY)
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]


def test_all_bad_arguments_are_listed_at_once(tmp_path):
    with pytest.raises(UserError) as caught:
        generate_shapes(tmp_path / "data", train=0, image_size=16, seed=-1, questions_per_image=True)
    text = str(caught.value)
    assert text.startswith("4 errors")
    for part in (
        "train=0",
        "image_size=16",
        "an integer from 32 to 1024",
        "seed=-1",
        "questions_per_image=True",
    ):
        assert part in text
    with pytest.raises(UserError, match="min_objects=4 exceeds max_objects=3"):
        generate_shapes(tmp_path / "data", min_objects=4, max_objects=3)
    assert list(tmp_path.iterdir()) == []


def test_two_processes_at_once_make_it_once(tmp_path):
    context = multiprocessing.get_context("spawn")
    workers = [
        context.Process(target=generate_shapes, args=(tmp_path / "data",), kwargs=TINY) for _ in range(2)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=60)
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["data"]
    assert generate_shapes(tmp_path / "data", **TINY)["digest"] == TINY_DIGEST

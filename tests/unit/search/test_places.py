import os

import pytest

from mmdl.errors import UserError
from mmdl.runs.folder import RunFolder
from mmdl.search.building import update_index
from mmdl.search.places import find_index, index_folder, known_indexes


def run_in(root, name):
    (root / name).mkdir(parents=True)
    (root / name / "config.yaml").write_text("a: 1\n")
    return RunFolder(root, name)


def index_in(folder, images, place, encode, time):
    update_index(folder, images, place.settings, encode)
    os.utime(folder / "index.json", (time, time))
    return folder


def test_the_newest_is_found_and_named_ones_too(tmp_path, place, encode):
    one, two = run_in(tmp_path / "runs", "one"), run_in(tmp_path / "runs", "two")
    new = index_in(one.path / "indexes" / "photos", place.images, place, encode, 2_000)
    old = index_in(two.path / "indexes" / "images", place.images, place, encode, 1_000)
    root = tmp_path / "runs"
    assert known_indexes(root) == [old, new]
    assert find_index(root, None) == new
    assert find_index(root, None, "two") == old
    assert find_index(root, "images") == old
    assert find_index(root, str(old)) == old
    with pytest.raises(UserError, match="there is no index cats") as caught:
        find_index(root, "cats")
    assert str(new) in caught.value.valid


def test_folders_of_the_same_name_get_indexes_of_their_own(tmp_path, place, encode):
    run = run_in(tmp_path / "runs", "one")
    first = index_folder(run, place.images)
    assert first == run.path / "indexes" / "images"
    update_index(first, place.images, place.settings, encode)
    assert index_folder(run, place.images) == first
    other = tmp_path / "else" / "images"
    other.mkdir(parents=True)
    assert index_folder(run, other).name.startswith("images-")
    (first / "index.json").write_text("damaged")
    assert index_folder(run, place.images) == first

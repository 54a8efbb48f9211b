import hashlib
import json

import numpy as np
import pytest

from mmdl.errors import UserError
from mmdl.search.building import update_index
from mmdl.search.folder import read_facts, read_index


@pytest.fixture
def index(place, encode):
    update_index(place.folder, place.images, place.settings, encode)
    return place.folder


def edit(folder, **changes):
    facts = json.loads((folder / "index.json").read_text())
    (folder / "index.json").write_text(json.dumps({**facts, **changes}))


def test_embeddings_are_memory_mapped(index):
    assert isinstance(read_index(index).embeddings, np.memmap)


def test_whats_missing_is_named(index):
    facts = json.loads((index / "index.json").read_text())
    del facts["is_whole"]
    (index / "index.json").write_text(json.dumps(facts))
    with pytest.raises(UserError, match=r"is damaged.*is_whole missing"):
        read_facts(index)


def test_another_version_is_refused_before_anything_else(index):
    edit(index, format=7, files={})
    with pytest.raises(UserError, match="is of version 7, and this mmdl reads version 1") as caught:
        read_index(index)
    assert caught.value.fix.startswith("python -m mmdl index run=one images=")


def test_files_that_dont_fit_together_are_refused(index):
    edit(index, count=9)
    with pytest.raises(UserError, match="its files don't fit together"):
        read_index(index)


def test_a_pickle_is_not_run(index):
    facts = json.loads((index / "index.json").read_text())
    path = index / facts["files"]["embeddings"]["name"]
    np.save(path, np.array([{"a": 1}]), allow_pickle=True)
    facts["files"]["embeddings"]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (index / "index.json").write_text(json.dumps(facts))
    with pytest.raises(UserError, match="its files can't be read"):
        read_index(index)


@pytest.mark.parametrize("name", ["../../secret", "/etc/passwd", "a/b"])
def test_names_beyond_the_folder_are_refused(index, name):
    facts = json.loads((index / "index.json").read_text())
    facts["files"]["embeddings"]["name"] = name
    (index / "index.json").write_text(json.dumps(facts))
    with pytest.raises(UserError, match="is damaged"):
        read_index(index)


def test_a_folder_without_an_index(tmp_path):
    with pytest.raises(UserError, match="holds no index"):
        read_facts(tmp_path)
    with pytest.raises(UserError, match="is no folder"):
        read_facts(tmp_path / "nothing")

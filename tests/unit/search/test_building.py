import json
import os
import subprocess
import sys

import numpy as np
import pytest

from mmdl.errors import UserError
from mmdl.search import writer
from mmdl.search.building import update_index
from mmdl.search.folder import only_writer, read_index, unfinished
from mmdl.search.settings import IDENTITY

from .conftest import embedding


def rows(index):
    return {name: index.embeddings[row] for row, name in enumerate(index.names)}


def expected(images):
    return {str(path.relative_to(images)): embedding(path) for path in images.rglob("*.png")}


def check(place):
    index = read_index(place.folder)
    found, wanted = rows(index), expected(place.images)
    assert list(found) == sorted(wanted)
    assert all(np.array_equal(found[name], wanted[name]) for name in wanted)
    return index


def test_every_change_of_the_folder_is_followed(place, encode):
    done = update_index(place.folder, place.images, place.settings, encode)
    assert (done.added, done.changed, done.dropped, done.kept) == (10, 0, 0, 0)
    check(place)
    (place.images / "0.png").write_bytes(b"another")
    (place.images / "2.png").unlink()
    (place.images / "a.png").write_bytes(b"new")
    (place.images / "4.png").rename(place.images / "deep" / "4.png")
    os.utime(place.images / "6.png", ns=(1, 1))
    encode.seen.clear()
    done = update_index(place.folder, place.images, place.settings, encode)
    assert (done.added, done.changed, done.dropped, done.kept) == (2, 2, 2, 6)
    assert sorted(encode.seen) == ["0.png", "4.png", "6.png", "a.png"]
    check(place)
    encode.seen.clear()
    assert update_index(place.folder, place.images, place.settings, encode).kept == 10
    assert encode.seen == []


def test_a_moved_folder_of_images_is_not_encoded_again(place, encode, tmp_path):
    update_index(place.folder, place.images, place.settings, encode)
    place.images = place.images.rename(tmp_path / "moved")
    encode.seen.clear()
    update_index(place.folder, place.images, place.settings, encode)
    assert encode.seen == []
    assert check(place).images == tmp_path / "moved"


@pytest.mark.parametrize("key", IDENTITY)
def test_whatever_made_the_embeddings_decides_on_a_new_index(place, encode, key):
    update_index(place.folder, place.images, place.settings, encode)
    encode.seen.clear()
    other = place.settings._replace(made_by={**place.settings.made_by, key: "other"})
    done = update_index(place.folder, place.images, other, encode)
    assert done.anew == f"the earlier index has another {key}"
    assert len(encode.seen) == 10


def test_bad_files_are_counted_and_tried_again(place, encode):
    (place.images / "1.png").write_bytes(b"bad")
    done = update_index(place.folder, place.images, place.settings, encode)
    assert (done.added, [one.message for one in done.bad]) == (10, [str(place.images / "1.png")])
    assert read_index(place.folder).facts["left_out"] == {"unreadable": 1}
    (place.images / "0.png").write_bytes(b"bad now")
    done = update_index(place.folder, place.images, place.settings, encode)
    assert (done.added, done.changed, done.kept, len(done.bad)) == (0, 0, 9, 2)
    assert "0.png" not in read_index(place.folder).names
    (place.images / "1.png").write_bytes(b"mended")
    assert update_index(place.folder, place.images, place.settings, encode).added == 1


def test_raise_stops_at_bad_files_and_leaves_the_earlier_index(place, encode):
    update_index(place.folder, place.images, place.settings, encode)
    before = (place.folder / "index.json").read_text()
    (place.images / "1.png").write_bytes(b"bad")
    with pytest.raises(UserError, match=r"1\.png") as caught:
        update_index(place.folder, place.images, place.settings._replace(skip_bad=False), encode)
    assert "on_bad_sample=skip" in str(caught.value)
    assert (place.folder / "index.json").read_text() == before
    read_index(place.folder)


def test_an_interrupted_index_goes_on(place, encode):
    def interrupted(paths):
        for number, batch in enumerate(encode(paths)):
            if number == 2:
                raise KeyboardInterrupt
            yield batch

    with pytest.raises(KeyboardInterrupt):
        update_index(place.folder, place.images, place.settings, interrupted)
    index = read_index(place.folder)
    assert len(index) == 6
    assert unfinished(index) == "the index is unfinished: 6 of 10 images are in it"
    assert all(np.array_equal(vector, embedding(place.images / name)) for name, vector in rows(index).items())
    encode.seen.clear()
    done = update_index(place.folder, place.images, place.settings, encode)
    assert (done.kept, done.added, len(encode.seen)) == (6, 4, 4)
    assert check(place).facts["is_whole"] is True


def test_long_encoding_is_saved_in_between(place, encode, monkeypatch):
    monkeypatch.setattr(writer, "SAVE_EVERY", -1.0)
    counts = []

    def watched(paths):
        for batch in encode(paths):
            yield batch
            counts.append((len(read_index(place.folder)), read_index(place.folder).facts["is_whole"]))

    update_index(place.folder, place.images, place.settings, watched)
    assert counts == [(3, False), (6, False), (9, False), (10, False)]
    check(place)


def test_a_failure_leaves_the_earlier_index_and_no_scratch(place, encode):
    update_index(place.folder, place.images, place.settings, encode)
    before = sorted(path.name for path in place.folder.iterdir())
    (place.images / "new.png").write_bytes(b"new")

    def failing(paths):
        yield from encode(paths)
        raise OSError(28, "No space left on device")

    with pytest.raises(UserError, match="no space is left on the device; what was there before is as it was"):
        update_index(place.folder, place.images, place.settings, failing)
    assert sorted(path.name for path in place.folder.iterdir()) == before
    assert len(read_index(place.folder)) == 10


def test_float16_is_half_and_close(place, encode):
    update_index(place.folder, place.images, place.settings._replace(dtype="float16"), encode)
    index = read_index(place.folder)
    assert index.embeddings.dtype == np.float16
    found, wanted = rows(index), expected(place.images)
    assert max(np.abs(found[name] - wanted[name]).max() for name in wanted) < 5e-4


def test_two_at_once_are_refused(place, encode):
    with only_writer(place.folder), pytest.raises(UserError, match="another mmdl index is at work"):
        update_index(place.folder, place.images, place.settings, encode)


def test_a_folder_with_other_things_is_refused(place, encode):
    place.folder.mkdir()
    (place.folder / "thesis.tex").write_text("")
    with pytest.raises(UserError, match=r"holds no index \(but thesis\.tex\)"):
        update_index(place.folder, place.images, place.settings, encode)


def test_facts_are_plain_json(place, encode):
    done = update_index(place.folder, place.images, place.settings, encode)
    facts = json.loads((place.folder / "index.json").read_text())
    assert facts == done.facts
    assert (facts["count"], facts["dim"], facts["dtype"], facts["backend"]) == (10, 16, "float32", "exact")


FULL_DISK = """
import sys
from pathlib import Path
import numpy as np
from mmdl.errors import UserError
from mmdl.search import building
from mmdl.search.encoding import Encoded
from mmdl.search.folder import read_index
from mmdl.search.settings import Settings
from mmdl.search import writer
writer.require_free = lambda *arguments: None
disk = Path(sys.argv[1])
images = disk.parent / "images"
names = ("run", "weights", "model", "image_size", "resize", "run_path", "weights_file")
settings = Settings(dict.fromkeys(names, "x"))
def encode(size):
    return lambda paths: iter([Encoded(list(range(len(paths))), np.ones((len(paths), size), np.float32), [])])
building.update_index(disk / "index", images, settings, encode(100))
(images / "b.png").write_text("b")
settings = Settings(dict.fromkeys(names, "y"))
try:
    building.update_index(disk / "index", images, settings, encode(1_000_000))
except UserError as error:
    print(error)
print("left", len(read_index(disk / "index")), sorted(p.name[:5] for p in (disk / "index").iterdir()))
"""


def test_a_full_disk_is_said_and_the_earlier_index_stays(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_text("a")
    disk = tmp_path / "disk"
    mount = f'mount -t tmpfs -o size=2m tmpfs {disk} && exec {sys.executable} -c "$0" {disk}'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", mount, FULL_DISK], capture_output=True, text=True, check=False
    )
    if "left" not in done.stdout:
        pytest.skip(f"no private mounts on this machine: {done.stderr.strip()[-200:]}")
    assert "no space is left on the device" in done.stdout
    assert "output=FOLDER for another place, or free some space" in done.stdout
    assert "left 1 ['.lock', 'embed', 'files', 'index']" in done.stdout

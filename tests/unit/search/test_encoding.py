import threading
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from mmdl.search.encoding import AHEAD, encode_files


def encoder(log):
    def images(batch):
        log.append(len(batch))
        return batch.float().mean((1, 2, 3))[:, None].numpy()

    return SimpleNamespace(size=8, resize="squash", images=images)


@pytest.fixture
def files(tmp_path):
    for number in range(11):
        Image.new("L", (12, 9), 20 * number).save(tmp_path / f"{number:02d}.png")
    (tmp_path / "03.png").write_text("text")
    (tmp_path / "08.png").write_bytes(b"")
    return sorted(tmp_path.iterdir())


@pytest.mark.parametrize("size", [1, 4, 11, 100])
def test_rows_and_embeddings_belong_together(files, size):
    log = []
    found = list(encode_files(encoder(log), files, size))
    rows = [row for batch in found for row in batch.rows]
    assert rows == [0, 1, 2, 4, 5, 6, 7, 9, 10]
    values = np.concatenate([batch.embeddings for batch in found if batch.rows])[:, 0]
    assert values.tolist() == [20.0 * row for row in rows]
    assert [one.reason for batch in found for one in batch.bad] == ["not an image", "empty file"]
    assert max(log) <= size


def test_a_batch_without_good_files_reaches_no_model(files):
    log = []
    [batch] = encode_files(encoder(log), [files[3], files[8]], 4)
    assert (batch.rows, log) == ([], [])


def test_only_some_batches_are_decoded_ahead(files, monkeypatch):
    import mmdl.data.transforms.image as module

    decoded = []
    load_image = module.load_image
    monkeypatch.setattr(module, "load_image", lambda path, *a: decoded.append(path) or load_image(path, *a))
    batches = encode_files(encoder([]), files, 1)
    next(batches)
    assert len(decoded) <= AHEAD
    before = threading.active_count()
    batches.close()
    assert threading.active_count() <= before

import numpy as np
import pytest

from mmdl.errors import UserError
from mmdl.search import faiss_index
from mmdl.search.building import update_index
from mmdl.search.exact import exact_nearest
from mmdl.search.faiss_index import build, faiss_nearest, is_installed, recall_of
from mmdl.search.folder import read_index
from mmdl.search.settings import Settings

needs_faiss = pytest.mark.skipif(not is_installed(), reason='no faiss: pip install "mmdl[search]"')


def clustered(count, dim=32, clusters=60, seed=0):
    """Vectors in clusters, as embeddings of images are."""
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(clusters, dim))
    found = centres[generator.integers(clusters, size=count)] + 0.5 * generator.normal(size=(count, dim))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


@needs_faiss
def test_recall_against_exact_and_exact_similarities(tmp_path):
    everything = clustered(20_100)
    items, queries = everything[:20_000], everything[20_000:]
    facts = build(items, tmp_path / "index")
    assert facts["recall@10"] >= faiss_index.TARGET
    assert 1 < facts["visited"] < facts["lists"]
    found = faiss_nearest(tmp_path / "index", facts["visited"], queries, items, 20)
    wanted = exact_nearest(queries, items, 20)
    assert recall_of(found.rows, wanted.rows) >= 0.95
    rows = np.take_along_axis(queries @ items.T, found.rows, 1)
    np.testing.assert_allclose(found.similarities, rows, atol=1e-6)
    assert (np.diff(found.similarities, axis=1) <= 0).all()


@needs_faiss
def test_a_small_set_and_more_wanted_than_visited(tmp_path):
    items = clustered(50)
    facts = build(items, tmp_path / "index")
    found = faiss_nearest(tmp_path / "index", 1, items[:3], items, 80)
    assert facts["lists"] == 1
    assert np.array_equal(found.rows, exact_nearest(items[:3], items, 80).rows)


@needs_faiss
def test_an_index_with_faiss_and_back(place, encode):
    update_index(place.folder, place.images, place.settings._replace(backend="faiss"), encode)
    index = read_index(place.folder)
    assert index.faiss_file.is_file()
    encode.seen.clear()
    (place.images / "new.png").write_bytes(b"new")
    update_index(place.folder, place.images, place.settings, encode)  # auto: as it was
    index = read_index(place.folder)
    assert (index.facts["backend"], encode.seen) == ("faiss", ["new.png"])
    found = faiss_nearest(
        index.faiss_file, index.facts["faiss"]["visited"], index.embeddings[:1], index.embeddings, 3
    )
    assert found.rows[0, 0] == 0
    update_index(place.folder, place.images, place.settings._replace(backend="exact"), encode)
    assert read_index(place.folder).faiss_file is None
    assert not list(place.folder.glob("faiss-*"))


def test_without_faiss_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(faiss_index, "is_installed", lambda: False)
    with pytest.raises(UserError, match="faiss, which is not installed") as caught:
        faiss_index.load_faiss()
    assert 'pip install "mmdl[search]"' in caught.value.fix


def test_auto_takes_faiss_for_large_sets_where_it_is_installed(made_by, monkeypatch):
    settings = Settings(made_by)
    monkeypatch.setattr(faiss_index, "is_installed", lambda: True)
    assert settings.resolved(None, 999_999).backend == "exact"
    assert settings.resolved(None, 1_000_000).backend == "faiss"
    monkeypatch.setattr(faiss_index, "is_installed", lambda: False)
    assert settings.resolved(None, 1_000_000).backend == "exact"

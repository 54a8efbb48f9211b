import numpy as np
import pytest

from mmdl.search import exact
from mmdl.search.exact import exact_nearest


def unit(generator, *shape):
    found = generator.normal(size=shape).astype(np.float32)
    return found / np.linalg.norm(found, axis=-1, keepdims=True)


@pytest.mark.parametrize("chunk", [1, 1 << 10, 1 << 23])
@pytest.mark.parametrize("k", [1, 7, 500])
def test_it_is_the_sorted_similarity_matrix_whatever_the_chunk(monkeypatch, chunk, k):
    monkeypatch.setattr(exact, "CHUNK_ELEMENTS", chunk)
    monkeypatch.setattr(exact, "QUERIES", 3)
    generator = np.random.default_rng(0)
    queries, items = unit(generator, 8, 24), unit(generator, 200, 24)
    matrix = queries @ items.T
    found = exact_nearest(queries, items, k)
    order = np.argsort(-matrix, axis=1, kind="stable")[:, :k]
    assert np.array_equal(found.rows, order)
    np.testing.assert_allclose(found.similarities, np.take_along_axis(matrix, order, 1), atol=1e-6)


@pytest.mark.parametrize("chunk", [1, 16, 1 << 23])
def test_equal_rows_keep_their_order(monkeypatch, chunk):
    monkeypatch.setattr(exact, "CHUNK_ELEMENTS", chunk)
    items = np.ones((30, 4), np.float32) / 2
    items[17] = [1, 0, 0, 0]
    query = np.array([[1, 0, 0, 0]], np.float32)
    assert exact_nearest(query, items, 6).rows.tolist() == [[17, 0, 1, 2, 3, 4]]


def test_float16_from_a_memory_map(tmp_path):
    generator = np.random.default_rng(1)
    queries, items = unit(generator, 2, 8), unit(generator, 50, 8)
    np.save(tmp_path / "items.npy", items.astype(np.float16))
    mapped = np.load(tmp_path / "items.npy", mmap_mode="r")
    found = exact_nearest(queries, mapped, 5)
    assert found.similarities.dtype == np.float32
    wanted = queries @ items.astype(np.float16).astype(np.float32).T
    assert np.array_equal(found.rows, np.argsort(-wanted, 1)[:, :5])


def test_no_query_and_no_row():
    assert exact_nearest(np.zeros((0, 4), np.float32), np.zeros((9, 4), np.float32), 3).rows.shape == (0, 3)

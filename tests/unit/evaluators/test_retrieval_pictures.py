"""The pictures show the neighbours that the embeddings have, for the same queries each time."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from mmdl.data.caption_dataset import CaptionDataset
from mmdl.data.caption_index import CaptionIndex
from mmdl.evaluators import retrieval_pictures as module
from mmdl.evaluators.base import EvaluationContext
from mmdl.evaluators.retrieval import RetrievalEvaluator
from mmdl.evaluators.retrieval_pictures import retrieval_pictures

IMAGES, CAPTIONS = 12, 2


class Pixels:
    key = "pixels"

    def __len__(self):
        return IMAGES

    def __getitem__(self, rows):
        return torch.stack([torch.full((3, 8, 8), 10 * int(row), dtype=torch.uint8) for row in rows])


@pytest.fixture
def context():
    """Each caption is nearest to the image after its own; the own one is second."""
    captions = [[f"image {n}, first", f"image {n}, second"] for n in range(IMAGES)]
    index = CaptionIndex(list(range(IMAGES)), [""] * IMAGES, captions)
    text_of = np.arange(IMAGES * CAPTIONS)
    tokens = torch.zeros(IMAGES * CAPTIONS, 3, dtype=torch.long)
    dataset = CaptionDataset(
        index, Pixels(), (tokens, tokens.bool(), text_of), None, None, np.arange(IMAGES), 0
    )
    own = np.repeat(np.arange(IMAGES), CAPTIONS)
    eye = np.eye(IMAGES, dtype=np.float32)
    outputs = {
        "rows": np.arange(IMAGES),
        "image_ids": np.arange(IMAGES),
        "embeddings": eye,
        "captions/rows": np.arange(IMAGES * CAPTIONS),
        "captions/image_rows": own,
        "captions/image_ids": own,
        "captions/embeddings": 0.6 * eye[own] + 0.8 * eye[(own + 1) % IMAGES],
    }
    data = SimpleNamespace(dataset=lambda split: dataset)
    return EvaluationContext(SimpleNamespace(device=torch.device("cpu")), data, "val", outputs)


@pytest.fixture
def drawn(monkeypatch):
    """The queries that the figures are given."""
    seen = {}
    for name in ("draw_text_queries", "draw_image_queries"):
        plain = getattr(module, name)

        def spy(queries, title, name=name, plain=plain):
            seen[name] = queries
            return plain(queries, title)

        monkeypatch.setattr(module, name, spy)
    return seen


def test_the_neighbours_are_those_of_the_embeddings(context, drawn, tmp_path):
    files = list(retrieval_pictures(context, tmp_path, queries=4, top=5))
    assert [file.path.name for file in files] == ["text_to_image.png", "image_to_text.png"]
    for file in files:
        with Image.open(file.path) as image:
            assert np.asarray(image.convert("L")).std() > 5
    queries = drawn["draw_text_queries"]
    assert [query.query for query in queries] == [
        f"image {n // 2}, {'second' if n % 2 else 'first'}" for n in (0, 7, 15, 23)
    ]
    for query, own in zip(queries, (0, 3, 7, 11), strict=True):
        assert [hit.right for hit in query.hits] == [False, True, False, False, False]
        assert query.hits[0].item[0, 0, 0] == 10 * ((own + 1) % IMAGES)
        assert query.hits[1].item[0, 0, 0] == 10 * own
        assert [round(hit.similarity, 4) for hit in query.hits[:3]] == [0.8, 0.6, 0.0]
        assert query.missed is None
    for query, own in zip(drawn["draw_image_queries"], (0, 3, 7, 11), strict=True):
        assert query.query[0, 0, 0] == 10 * own
        before = (own - 1) % IMAGES
        names = [f"image {n}, {which}" for n in (before, own) for which in ("first", "second")]
        assert [hit.item for hit in query.hits[:4]] == names
        assert [hit.right for hit in query.hits[:4]] == [False, False, True, True]


def test_the_rank_of_a_missed_one_is_that_of_the_evaluator(context, drawn, tmp_path):
    list(retrieval_pictures(context, tmp_path, queries=3, top=1))
    ranks = [query.missed.rank for query in drawn["draw_text_queries"]]
    assert ranks == [2, 2, 2]
    outputs = dict(context.outputs) | {"embeddings": np.ones_like(context.outputs["embeddings"])}
    list(retrieval_pictures(context._replace(outputs=outputs), tmp_path, queries=3, top=1))
    assert [query.missed.rank for query in drawn["draw_text_queries"]] == [IMAGES] * 3, (
        "ties count against it"
    )


def test_the_numbers_are_capped(context, drawn, tmp_path):
    list(retrieval_pictures(context, tmp_path, queries=10**6, top=10**6))
    assert len(drawn["draw_text_queries"]) == 16
    assert len(drawn["draw_text_queries"][0].hits) == 10


def test_nothing_is_drawn_where_there_is_nothing(context, tmp_path):
    assert list(retrieval_pictures(context._replace(outputs={}), tmp_path)) == []
    other = SimpleNamespace(dataset=lambda split: object())
    assert list(retrieval_pictures(context._replace(data=other), tmp_path)) == []
    assert list(RetrievalEvaluator(queries=0).pictures(context, tmp_path)) == []


def test_the_evaluator_draws_them_at_each_validation_and_at_the_end(context, tmp_path):
    evaluator = RetrievalEvaluator(queries=2)
    assert len(list(evaluator.pictures(context, tmp_path / "a"))) == 2
    assert len(list(evaluator.write(context, tmp_path / "b"))) == 2
    for name in ("text_to_image.png", "image_to_text.png"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()

import numpy as np
import pytest
from omegaconf import OmegaConf

from mmdl.data.tokenizer.word import WordTokenizer
from mmdl.errors import UserError
from mmdl.search.queries import Query, encoded, queries_of, remarks


def config(**given):
    return OmegaConf.create({"query": None, "image": None, "queries": None, **given})


def test_a_text_stays_as_it_is():
    assert queries_of(config(query="  A red, circle? ")) == [Query("  A red, circle? ")]


@pytest.mark.parametrize("content", [b"a\r\n\r\nb\n", b"\xef\xbb\xbfa\nb"])
def test_one_text_a_line(tmp_path, content):
    (tmp_path / "q.txt").write_bytes(content)
    assert [query.name for query in queries_of(config(queries=str(tmp_path / "q.txt")))] == ["a", "b"]


@pytest.mark.parametrize(
    ("content", "message"), [(b"", "is empty"), (b"\n \n", "is empty"), (b"\xff\xfe", "UTF-8")]
)
def test_a_file_without_texts(tmp_path, content, message):
    (tmp_path / "q.txt").write_bytes(content)
    with pytest.raises(UserError, match=message):
        queries_of(config(queries=str(tmp_path / "q.txt")))


def test_an_image_is_a_file(tmp_path):
    with pytest.raises(UserError, match="is a folder"):
        queries_of(config(image=str(tmp_path)))


def test_what_the_run_does_not_read_is_said():
    tokenizer = WordTokenizer(max_length=4)
    tokenizer.fit(["a red circle"])
    assert remarks(tokenizer, Query("a Red circle")) == []
    assert remarks(tokenizer, Query("a zebra, a zebra")) == [
        "the run does not know 'zebra', ',': no caption that it was trained on has it",
        "the run reads 4 tokens of a text; what is beyond has no effect",
    ]


def test_many_texts_are_encoded_in_parts():
    seen = []

    class Encoder:
        def texts(self, texts):
            seen.append(len(texts))
            return np.array([[float(text)] for text in texts], np.float32)

    found = encoded(Encoder(), [Query(str(number)) for number in range(600)])
    assert found[:, 0].tolist() == list(range(600))
    assert max(seen) <= 256

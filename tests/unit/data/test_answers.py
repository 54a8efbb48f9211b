import numpy as np
import pytest

from mmdl.data.answers import AnswerVocabulary, SoftTargets
from mmdl.errors import UserError

REFERENCES = [["red"] * 10, ["red"] * 6 + ["blue"] * 4, ["two"] * 10, [], ["2"] * 2 + ["3"] * 8]


def test_vocabulary_counts_majorities_in_normal_form():
    vocabulary = AnswerVocabulary.build(REFERENCES, min_count=1)
    assert vocabulary.answers == ["red", "2", "3"]
    assert AnswerVocabulary.build(REFERENCES, min_count=2).answers == ["red"]
    assert AnswerVocabulary.build(REFERENCES, min_count=1, most=2).answers == ["red", "2"]


def test_vocabulary_without_answers_is_an_error_that_names_the_setting():
    with pytest.raises(UserError, match="vocabulary is empty") as caught:
        AnswerVocabulary.build(REFERENCES, min_count=99)
    assert "min_answer_count" in caught.value.fix


def test_fingerprint_depends_on_order():
    assert AnswerVocabulary(["a", "b"]).fingerprint != AnswerVocabulary(["b", "a"]).fingerprint


def test_targets_are_the_soft_scores():
    targets = SoftTargets(REFERENCES, AnswerVocabulary(["red", "2", "3", "blue"]))
    dense = targets.dense(np.array([1, 4, 3, 0]))
    expected = [[1.0, 0, 0, 1.0], [0, 0.6, 1.0, 0], [0, 0, 0, 0], [1.0, 0, 0, 0]]
    assert np.allclose(dense.numpy(), expected)
    assert targets.unreachable().tolist() == [3]


def test_rows_that_fall_out_of_the_vocabulary_are_found():
    targets = SoftTargets(REFERENCES, AnswerVocabulary(["red"]))
    assert targets.unreachable().tolist() == [2, 3, 4]

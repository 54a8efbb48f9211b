"""Records of several runs, put side by side."""

import json

import numpy as np
import pytest

from mmdl.review.browsing.group_scores import group_scores
from mmdl.review.browsing.item_images import ItemImages
from mmdl.review.browsing.payload import payload
from mmdl.review.browsing.prediction_sets import prediction_sets
from mmdl.review.browsing.selection import selected, shares
from mmdl.review.model import Review
from mmdl.review.reading import read_run


def review(*paths):
    return Review([read_run(path) for path in paths])


def records(path, name="test"):
    return [json.loads(line) for line in (path / "predictions" / f"{name}.jsonl").read_text().splitlines()]


def test_columns_are_runs_and_their_baselines(tmp_path, folders):
    one, two = folders.vqa(tmp_path, "one"), folders.vqa(tmp_path, "two", seed=1)
    [found], gaps = prediction_sets(review(one, two))
    assert gaps == []
    assert [column.label for column in found.columns] == [
        "one",
        "one · question only",
        "two",
        "two · question only",
    ]
    for path, column in ((one, found.columns[0]), (two, found.columns[2])):
        rows = records(path)
        assert found.ids == [str(row["question_id"]) for row in rows]
        assert column.scores.tolist() == [row["score"] for row in rows]
        assert [found.texts[place] for place in column.texts[:, 0]] == [row["prediction"] for row in rows]
        np.testing.assert_allclose(
            column.values[:, 1], [row["top"][1]["probability"] for row in rows], rtol=1e-6
        )


def test_items_are_matched_by_id_and_reference_not_by_place(tmp_path, folders):
    one, two = (
        folders.classification(tmp_path, "one", items=6),
        folders.classification(tmp_path, "two", items=6),
    )
    rows = records(two)[::-1][:4]
    rows[0]["label"] = "another"  # the same id with another reference is another item
    folders.write_predictions(two, "test", rows, "classification", "accuracy")
    [found], _ = prediction_sets(review(one, two))
    assert len(found.ids) == 7
    second = found.columns[1]
    assert second.answered.tolist() == [False, False, True, True, True, False, True]
    assert np.isnan(second.scores[:2]).all()
    answer = {row["id"]: row["prediction"] for row in rows}
    for place in np.flatnonzero(second.answered):
        assert found.texts[second.texts[place, 0]] == answer[found.ids[place]]


def test_strange_records_are_taken_as_far_as_they_go(tmp_path, folders):
    run = folders.vqa(tmp_path, "one", items=3)
    rows = records(run)
    rows[0] |= {"top": "nothing", "answers": None, "question": 7, "image": None}
    rows[1] |= {"top": [None, {"answer": None, "probability": "much"}, {"x": 1}], "answer_type": ["a"]}
    folders.write_predictions(run, "test", rows, "vqa", "vqa_accuracy")
    one = review(run)
    data = payload(prediction_sets(one)[0], ItemImages([run]))
    json.dumps(data, allow_nan=False)
    [found] = data["sets"]
    assert found["texts"][found["query"][0]] == "7"
    assert found["image"][0] == -1
    assert [found["texts"][place] for place in found["columns"][0]["top"][0][::2]] == [rows[0]["prediction"]]


def test_disagreements_and_confident_mistakes_are_kept_first(tmp_path, folders):
    one = folders.classification(tmp_path, "one", items=400, seed=0, images=False, right=0.9)
    two = folders.classification(tmp_path, "two", items=400, seed=1, images=False, right=0.9)
    [found], _ = prediction_sets(review(one, two))
    kept = selected(found, np.zeros(400, dtype=bool), 200)
    assert len(kept) == len(set(kept.tolist())) == 200
    scores = np.stack([column.scores for column in found.columns])
    apart = set(np.flatnonzero(scores[0] != scores[1]).tolist())
    both = set(np.flatnonzero((scores == 0).all(0)).tolist())
    assert len(apart | both) < 150
    assert set(kept[: len(apart)].tolist()) == apart
    assert apart | both <= set(kept.tolist())
    # what is right in both is seen too, from the beginning to the end of the data
    assert min(kept) < 20
    assert max(kept) > 380


def test_a_page_holds_a_part_and_knows_the_whole(tmp_path, folders):
    run = folders.classification(tmp_path, "one", items=400, images=False, right=0.9)
    data = payload(prediction_sets(review(run))[0], ItemImages([run]), most=100)
    [found] = data["sets"]
    assert (len(found["ids"]), found["total"]) == (100, 400)
    column = found["columns"][0]
    right = [row["correct"] for row in records(run)]
    assert (column["mean"], column["n"]) == (round(sum(right) / 400, 4), 400)
    assert shares([5000, 10], 3000) == [2990, 10]


def test_scores_of_groups_are_over_all_items(tmp_path, folders):
    run = folders.vqa(tmp_path, "one", items=60)
    [found], _ = prediction_sets(review(run))
    groups = {group.value: group for group in group_scores(found, "answer type")}
    rows = records(run)
    for value, group in groups.items():
        scores = [row["score"] for row in rows if row["answer_type"] == value]
        assert group.n == len(scores) == 20
        assert group.means[0] == pytest.approx(np.mean(scores))


def test_the_rank_is_of_each_run(tmp_path, folders):
    one, two = folders.retrieval(tmp_path, "one"), folders.retrieval(tmp_path, "two", seed=1)
    sets, _ = prediction_sets(review(one, two))
    assert [found.name for found in sets] == ["test_text_to_image", "test_image_to_text"]
    assert [found.images for found in sets] == [True, False]
    for path, column in ((one, sets[0].columns[0]), (two, sets[0].columns[1])):
        assert column.ranks.tolist() == [row["rank"] for row in records(path, "test_text_to_image")]

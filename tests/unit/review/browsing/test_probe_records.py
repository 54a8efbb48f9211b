"""The fixed probe items of a run."""

from mmdl.review.browsing.probe_records import read_probe


def test_answers_by_step(tmp_path, folders):
    run = folders.vqa(tmp_path, "one")
    found = read_probe(run)
    assert (found.kind, found.split, found.steps) == ("vqa", "val", [10, 20, 30])
    records = folders.vqa_records(6, 0.75, 30)
    for record in records:
        answer = found.answers[str(record["question_id"]), 30]
        assert (answer.text, answer.score) == (record["prediction"], record["score"])
    assert found.gaps == []


def test_both_directions_of_a_retrieval_are_kept_apart(tmp_path, folders):
    records = [
        {
            "id": "a",
            "query": "a dog",
            "image": "a",
            "rank": 3,
            "hit": False,
            "direction": "text_to_image",
            "top": [],
        },
        {
            "id": "a",
            "query": "a",
            "image": "a",
            "rank": 1,
            "hit": True,
            "direction": "image_to_text",
            "top": [],
        },
    ]
    folders.write_probe(tmp_path, {5: records}, ["a", "a"])
    found = read_probe(tmp_path)
    assert list(found.items) == ["image of: a", "caption of: a"]
    assert [found.answers[name, 5].rank for name in found.items] == [3, 1]
    assert found.items["image of: a"].query == "a dog"


def test_without_a_probe_set(tmp_path):
    assert read_probe(tmp_path) is None


def test_damaged_lines_are_counted(tmp_path, folders):
    run = folders.vqa(tmp_path, "one")
    with (run / "media" / "probe" / "step-20.jsonl").open("a") as handle:
        handle.write('[]\n{"question_id": 5')
    (run / "media" / "probe" / "index.json").unlink()
    found = read_probe(run)
    assert len(found.items) == 6
    assert found.gaps == [
        "media/probe/index.json is missing",
        "media/probe/step-20.jsonl: 2 damaged lines were left out",
    ]

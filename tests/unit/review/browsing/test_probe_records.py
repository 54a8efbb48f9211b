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

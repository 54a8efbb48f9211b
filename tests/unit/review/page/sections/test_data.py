"""The report on the data."""

import json
import re

from mmdl.review.model import Review
from mmdl.review.page.sections.data import section
from mmdl.review.reading import read_run


def said(*paths):
    return re.sub(r"<[^>]*>", " ", section(Review([read_run(path) for path in paths])).html)


def test_equal_and_differing_data(tmp_path, folders):
    one, two = folders.vqa(tmp_path, "one"), folders.vqa(tmp_path, "two")
    assert "Both runs have the same data: train, val, test." in said(one, two)
    manifest = json.loads((two / "manifest.json").read_text())
    manifest["data"]["train"] = "f" * 64
    folders.write_json(two / "manifest.json", manifest)
    text = said(one, two)
    assert "Not the same in all runs: train." in text
    assert "ffffffffff" in text


def test_sizes_skipped_samples_and_cautions(tmp_path, folders):
    run = folders.vqa(tmp_path, "one")
    report = {
        "version": 1,
        "splits": {
            "train": {"sizes": {"questions": 12_345}, "notes": []},
            "test": {"sizes": {}, "notes": ["a rule"]},
        },
        "skipped": {"truncated image": 3},
        "cautions": ["two images are the same"],
        "marks": {"trained_on_val": True, "joined": {"train": 0}},
    }
    folders.write_json(run / "data_report.json", report)
    text = said(run)
    for part in ("12,345 questions", "truncated image", "two images are the same", "test: a rule"):
        assert part in text
    assert "trained on the validation split" in text
    assert "joined" not in text  # it says that there were none


def test_damaged_and_missing_reports(tmp_path, folders):
    one, two = folders.vqa(tmp_path, "one"), folders.vqa(tmp_path, "two")
    (one / "data_report.json").write_text('{"splits": ')
    text = said(one, two)
    assert "one : data_report.json is damaged" in text or "one: data_report.json is damaged" in text
    assert "two: no data_report.json" in text
    folders.write_json(
        one / "data_report.json", {"splits": [1], "skipped": "x", "marks": None, "cautions": {}}
    )
    assert "Sizes of the splits" in said(one)

"""Counts of confused classes."""

import pytest

from mmdl.review.browsing.confusion import count_confusion, read_confusion
from mmdl.review.browsing.prediction_sets import prediction_sets
from mmdl.review.model import Review
from mmdl.review.page.sections.confusion import section
from mmdl.review.reading import read_run


def test_the_file_and_the_predictions_tell_the_same(tmp_path, folders):
    run = folders.classification(tmp_path, "one")
    [found], _ = prediction_sets(Review([read_run(run)]))
    counted = count_confusion(found, found.columns[0])
    read = read_confusion(run / "evaluation" / "test" / "confusion_matrix.csv")
    assert counted.counts == read.counts
    assert counted.classes == read.classes == [str(n) for n in range(10)]
    right, true, predicted = read.of_class()["3"]
    assert (right, true) == (read.counts["3", "3"], 6)
    assert predicted == sum(n for (_, other), n in read.counts.items() if other == "3")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "true class\n",
        "true class,a,b\na,1,0\nb,1",
        "true class,a,b\na,1,x\n",
        "true class,a,a\na,1,2\n",
        "true class,a,b\nc,1,2\n",
        "true class,a,b\na,-1,2\n",
        "\x00\xff",
    ],
)
def test_a_damaged_file_is_no_matrix(tmp_path, content):
    (tmp_path / "confusion_matrix.csv").write_text(content)
    assert read_confusion(tmp_path / "confusion_matrix.csv") is None
    assert read_confusion(tmp_path / "missing.csv") is None


def test_a_damaged_file_is_replaced_by_the_predictions(tmp_path, folders):
    run = folders.classification(tmp_path, "one")
    before = section(Review([read_run(run)])).data
    (run / "evaluation" / "test" / "confusion_matrix.csv").write_text("true class,0\n")
    [table] = section(Review([read_run(run)])).data
    assert sorted(table["cells"][0]) == sorted(before[0]["cells"][0])


def test_ten_thousand_classes_are_a_short_list(tmp_path, folders):
    names = [f"class {n}" for n in range(10_000)]
    run = folders.classification(
        tmp_path, "many", items=10_000, classes=names, right=0.5, images=False, matrix=False
    )
    [table] = section(Review([read_run(run)])).data
    assert table["total"] == 10_000
    assert len(table["pairs"]) == len(table["worst"]) == 400
    assert table["left"][1] == 9_600
    assert all(one != other for one, other, _ in table["pairs"])

import pytest

from mmdl.evaluators.base import Artifact
from mmdl.runs import wandb_charts
from mmdl.runs.wandb_charts import table_chart


@pytest.fixture
def written(tmp_path):
    """`written(name, text)`: a table as an evaluator writes it."""

    def write(name, text):
        (tmp_path / name).write_text(text)
        return Artifact(tmp_path / name, "a caption")

    return write


def test_classes_are_names_and_the_rest_numbers(written):
    table = table_chart(written("per_class.csv", "class,support,auroc\n7,3,0.5\ncat,0,\n"))
    assert table.columns == ["class", "support", "auroc"]
    assert table.data == [["7", 3, 0.5], ["cat", 0, None]]


def test_the_confusion_matrix_has_a_row_a_cell(written):
    text = "true class,class,7\nclass,3,1\n7,0,5\n"
    chart = table_chart(written("confusion_matrix.csv", text))
    assert chart.table.data == [["class", "class", 3], ["class", "7", 1], ["7", "class", 0], ["7", "7", 5]]
    assert chart.spec.spec_name == "wandb/confusion_matrix/v1"
    assert chart.spec.string_fields["title"] == "a caption"


def test_what_w_and_b_would_cut_off_is_left_out(written, monkeypatch):
    monkeypatch.setattr(wandb_charts, "MOST_ROWS", 3)
    assert table_chart(written("confusion_matrix.csv", "true class,a,b\na,1,0\nb,0,1\n")) is None
    assert table_chart(written("reliability.csv", "low\n" + "0\n" * 4)) is None
    assert table_chart(written("reliability.csv", "low\n" + "0\n" * 3)) is not None

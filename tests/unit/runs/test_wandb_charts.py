import pytest

from mmdl.evaluators.base import Artifact
from mmdl.figures.loss_curve import Line
from mmdl.runs import wandb_charts
from mmdl.runs.wandb_charts import log_lines, table_chart


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


def test_other_columns_may_be_text(written):
    text = "class,prompted as,n\ncat,a cat,3\ndog,7,\n"
    table = table_chart(written("zero_shot_pets_per_class.csv", text))
    assert table.data == [["cat", "a cat", 3], ["dog", "7", None]]


def test_the_confusion_of_a_set_is_a_chart_too(written):
    chart = table_chart(written("zero_shot_pets_confusion.csv", "true class,a,b\na,1,0\nb,0,1\n"))
    assert chart.spec.spec_name == "wandb/confusion_matrix/v1"


def test_lines_are_one_chart_of_w_and_b_and_nothing_elsewhere():
    from unittest.mock import Mock

    from lightning.pytorch.loggers import WandbLogger

    logger = Mock(spec=WandbLogger)
    lines = [Line("train", [1, 2], [0.5, 0.25]), Line("chance level", [1], [0.7])]
    log_lines([object(), logger], "charts/loss", lines, "loss")
    [[[row], _]] = list(logger.experiment.log.call_args_list)
    data = row["charts/loss"].table.data
    assert sorted(map(tuple, data)) == [(1, "chance level", 0.7), (1, "train", 0.5), (2, "train", 0.25)]


def test_what_w_and_b_would_cut_off_is_left_out(written, monkeypatch):
    monkeypatch.setattr(wandb_charts, "MOST_ROWS", 3)
    assert table_chart(written("confusion_matrix.csv", "true class,a,b\na,1,0\nb,0,1\n")) is None
    assert table_chart(written("reliability.csv", "low\n" + "0\n" * 4)) is None
    assert table_chart(written("reliability.csv", "low\n" + "0\n" * 3)) is not None

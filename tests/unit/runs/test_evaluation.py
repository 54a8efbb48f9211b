from types import SimpleNamespace

import pytest

from mmdl.errors import UserError
from mmdl.evaluators.base import Artifact, EvaluationContext
from mmdl.runs.evaluation import (
    check_evaluators,
    evaluation_lines,
    headlines,
    tuned_on_validation,
    write_evaluation,
)


class _Full:
    splits = ("test",)
    headline = ("accuracy",)

    def tunes(self, data):
        return data == "binary"

    def check(self, data):
        if data == "bad":
            raise UserError("bad")

    def write(self, context, folder):
        folder.mkdir(parents=True)
        (folder / "a.csv").write_text("x")
        yield Artifact(folder / "a.csv", context.split)

    def notes(self, context):
        yield f"a note on {context.split}"


def _task(split):
    bare = SimpleNamespace(splits=("val", "test"))
    context = EvaluationContext(None, None, split, {}) if split else None
    return SimpleNamespace(evaluators={"full": _Full(), "bare": bare}, context=context)


def test_what_an_evaluator_has_besides_its_figures_is_found(tmp_path):
    task = _task("test")
    assert [a.path.name for a in write_evaluation(task, tmp_path / "test")] == ["a.csv"]
    assert evaluation_lines(task, "notes") == ["a note on test"]
    assert evaluation_lines(task, "table") == []
    assert headlines(task, "test") == ["test/accuracy"]


@pytest.mark.parametrize("split", ["val", None])
def test_an_evaluator_says_nothing_on_a_split_that_is_not_its_own(split, tmp_path):
    task = _task(split)
    assert write_evaluation(task, tmp_path / "val") == []
    assert evaluation_lines(task, "notes") == []
    assert headlines(task, "val") == []
    assert not list(tmp_path.iterdir())


def test_settings_are_checked_and_validation_is_run_where_it_is_asked_for():
    task = _task("test")
    assert tuned_on_validation(task, "binary")
    assert not tuned_on_validation(task, "ten")
    check_evaluators(task.evaluators.values(), "ten")
    with pytest.raises(UserError):
        check_evaluators(task.evaluators.values(), "bad")

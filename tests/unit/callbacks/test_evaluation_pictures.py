from types import SimpleNamespace

import pytest

from mmdl.callbacks import evaluation_pictures as module
from mmdl.callbacks.evaluation_pictures import EvaluationPictures
from mmdl.errors import UserError
from mmdl.evaluators.base import Artifact


class Drawing:
    splits = ("val",)

    def pictures(self, context, folder):
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "grid.png"
        path.write_bytes(b"png")
        yield Artifact(path, "a grid")


class Silent:
    splits = ("val",)


class OfTest(Drawing):
    splits = ("test",)


@pytest.fixture
def sent(monkeypatch):
    found = []
    monkeypatch.setattr(module, "log_images", lambda loggers, pictures, step: found.append((step, pictures)))
    return found


def validate(callback, step, epoch=0, fn="fit", global_zero=True, sanity=False, evaluators=None):
    evaluators = evaluators or {"a": Drawing(), "b": Silent(), "c": OfTest()}
    trainer = SimpleNamespace(
        state=SimpleNamespace(fn=fn),
        sanity_checking=sanity,
        is_global_zero=global_zero,
        current_epoch=epoch,
        global_step=step,
        loggers=[],
    )
    task = SimpleNamespace(context=SimpleNamespace(split="val"), evaluators=evaluators)
    callback.on_validation_end(trainer, task)


def names(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def test_each_validation_has_its_folder_and_the_trackers_get_it(tmp_path, sent):
    validate(EvaluationPictures(str(tmp_path)), 40)
    path = tmp_path / "step=00000040" / "grid.png"
    assert path.is_file()
    assert sent == [(40, {"val_figures/grid": Artifact(path, "a grid, step 40")})]


def test_the_first_and_the_last_stay(tmp_path, sent):
    callback = EvaluationPictures(str(tmp_path), keep=2)
    for step in range(10, 70, 10):
        validate(callback, step)
    assert names(tmp_path) == ["step=00000010", "step=00000050", "step=00000060"]
    assert len(sent) == 6


def test_all_stay_where_that_is_wanted(tmp_path, sent):
    callback = EvaluationPictures(str(tmp_path), keep=None)
    for step in range(10, 120, 10):
        validate(callback, step)
    assert len(names(tmp_path)) == 11


def test_only_every_nth_epoch(tmp_path, sent):
    callback = EvaluationPictures(str(tmp_path), every_n_epochs=2)
    for epoch in range(5):
        validate(callback, 10 * (epoch + 1), epoch)
    assert names(tmp_path) == ["step=00000020", "step=00000040"]


def test_a_resumed_run_has_nothing_twice_and_nothing_of_what_was_undone(tmp_path, sent):
    for step in (10, 20, 30):
        validate(EvaluationPictures(str(tmp_path)), step)
    (tmp_path / "notes.txt").write_text("of somebody else")
    resumed = EvaluationPictures(str(tmp_path))  # from step 10, with validations elsewhere
    validate(resumed, 15)
    assert names(tmp_path) == ["notes.txt", "step=00000010", "step=00000015"]
    validate(resumed, 20)
    assert names(tmp_path) == ["notes.txt", "step=00000010", "step=00000015", "step=00000020"]


@pytest.mark.parametrize(
    "how", [{"fn": "test"}, {"fn": "validate"}, {"global_zero": False}, {"sanity": True}]
)
def test_nothing_is_written_where_there_is_nothing_to_say(tmp_path, sent, how):
    validate(EvaluationPictures(str(tmp_path)), 10, **how)
    assert names(tmp_path) == []
    assert sent == []


def test_evaluators_without_pictures_leave_no_folder(tmp_path, sent):
    validate(EvaluationPictures(str(tmp_path / "x")), 10, evaluators={"b": Silent()})
    assert names(tmp_path / "x") == []


@pytest.mark.parametrize("numbers", [{"every_n_epochs": 0}, {"keep": 0}])
def test_numbers_out_of_range_are_refused(tmp_path, numbers):
    with pytest.raises(UserError, match="at least 1"):
        EvaluationPictures(str(tmp_path), **numbers)

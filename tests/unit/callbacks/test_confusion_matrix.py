from types import SimpleNamespace

import numpy as np
import pytest

from mmdl.callbacks.confusion_matrix import ConfusionMatrix


def _validate(callback, epoch=0, fn="fit", global_zero=True, labels=True):
    outputs = {"probabilities": np.eye(3, dtype=np.float32)} | ({"labels": np.arange(3)} if labels else {})
    context = SimpleNamespace(outputs=outputs, data=SimpleNamespace(classes=("a", "b", "c")))
    trainer = SimpleNamespace(
        state=SimpleNamespace(fn=fn),
        is_global_zero=global_zero,
        current_epoch=epoch,
        global_step=10 * (epoch + 1),
        loggers=[],
    )
    callback.on_validation_end(trainer, SimpleNamespace(context=context))


def test_a_picture_is_written_at_the_wanted_epochs(tmp_path):
    callback = ConfusionMatrix(str(tmp_path), every_n_epochs=2)
    for epoch in range(5):
        _validate(callback, epoch)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step=00000020.png", "step=00000040.png"]


@pytest.mark.parametrize("how", [{"fn": "test"}, {"global_zero": False}, {"labels": False}])
def test_nothing_is_written_where_there_is_nothing_to_say(tmp_path, how):
    _validate(ConfusionMatrix(str(tmp_path)), **how)
    assert not list(tmp_path.iterdir())

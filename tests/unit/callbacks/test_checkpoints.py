import pytest

from mmdl.callbacks.checkpoints import Checkpoints
from mmdl.errors import UserError


@pytest.mark.parametrize("keep", [1, 0, -1])
def test_fewer_than_two_are_refused(tmp_path, keep):
    with pytest.raises(UserError, match=f"callbacks.checkpoints.keep={keep}") as raised:
        Checkpoints(str(tmp_path), keep=keep)
    assert raised.value.fix == "callbacks.checkpoints.keep=2"

import inspect
from datetime import timedelta

import pytest
from lightning.pytorch.strategies import DDPStrategy
from torch.nn.parallel import DistributedDataParallel

from mmdl.errors import UserError
from mmdl.strategies.ddp import GRAPH_CHANGED, WITHOUT_GRADIENT, ddp


def test_a_static_graph_in_bucket_views_is_the_default():
    strategy = ddp()
    assert isinstance(strategy, DDPStrategy)
    assert strategy._ddp_kwargs == {
        "static_graph": True,
        "gradient_as_bucket_view": True,
        "find_unused_parameters": False,
    }
    assert strategy._timeout == timedelta(minutes=10)
    assert ddp(timeout_minutes=0.5)._timeout == timedelta(seconds=30)


def test_a_static_graph_is_not_searched():
    with pytest.raises(UserError, match="needs no search in every step"):
        ddp(find_unused_parameters=True)


def test_what_is_overridden_exists():
    for name in ("_setup_model", "block_backward_sync", "training_step", "backward", "post_backward"):
        assert callable(getattr(DDPStrategy, name))
    assert "broadcast_buffers" in inspect.signature(DistributedDataParallel).parameters


def test_torchs_words_are_understood():
    text = (
        "Expected to have finished reduction in the prior iteration before starting a new one. [...]\n"
        "Parameter indices which did not receive grad for rank 1: 3 12\n In addition, ..."
    )
    assert GRAPH_CHANGED.search(text)
    assert WITHOUT_GRADIENT.search(text)[1] == " 3 12"

import gc

import pytest

from mmdl.review.collector import collector_off


def test_it_is_on_again_after_an_error():
    @collector_off()
    def fail():
        raise ValueError(gc.isenabled())

    with pytest.raises(ValueError, match="False"):
        fail()
    assert gc.isenabled()


def test_what_was_off_stays_off():
    gc.disable()
    try:
        with collector_off():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()

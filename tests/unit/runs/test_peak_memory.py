import sys

import pytest
import torch

from mmdl.runs.peak_memory import peak_memory


@pytest.mark.skipif(sys.platform != "linux", reason="VmHWM is Linux's")
def test_the_peak_stays_after_memory_was_given_back():
    before = peak_memory(torch.device("cpu"))
    block = torch.ones(before // 4 + 25_000_000)  # as much as the process has, and 100 MB
    held = peak_memory(torch.device("cpu"))
    assert held - before > 90e6
    del block
    assert peak_memory(torch.device("cpu")) > held - 10e6  # the kernel counts in batches

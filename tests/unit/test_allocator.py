import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
import torch
from mmdl.allocator import keep_freed_memory

assert not {kept} or keep_freed_memory()
torch.set_num_threads(1)
for _ in range(10):
    torch.ones(16_000_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    torch.ones(16_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(kept: bool) -> int:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(kept=kept)], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator")
def test_a_block_that_was_freed_is_used_again_without_page_faults():
    assert page_faults(kept=True) < 0.1 * page_faults(kept=False)

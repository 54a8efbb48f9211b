import os
import subprocess
import sys

import pytest

from mmdl.runs.flight_recorder import record_collectives

NAMES = ("TORCH_FR_BUFFER_SIZE", "TORCH_NCCL_DUMP_ON_TIMEOUT", "TORCH_FR_DUMP_TEMP_FILE")
OTHERS = ("TORCH_NCCL_TRACE_BUFFER_SIZE", "TORCH_FR_DUMP_ON_TIMEOUT", "TORCH_NCCL_DEBUG_INFO_TEMP_FILE")


@pytest.fixture
def environment(monkeypatch):
    for name in (*NAMES, *OTHERS, "TORCH_NCCL_ASYNC_ERROR_HANDLING"):
        monkeypatch.setenv(name, "x")  # so that it is put back
        monkeypatch.delenv(name)
    return monkeypatch


def test_it_is_on_and_writes_into_the_folder(environment, tmp_path):
    record_collectives(tmp_path / "stacks")
    assert [os.environ[name] for name in NAMES] == ["2000", "1", f"{tmp_path}/stacks/nccl-rank="]


@pytest.mark.parametrize("name", [*NAMES, *OTHERS])
def test_what_the_user_has_set_stays(environment, tmp_path, name):
    environment.setenv(name, "7")
    record_collectives(tmp_path)
    assert os.environ[name] == "7"
    pairs = dict(zip((*NAMES, *OTHERS), (*OTHERS, *NAMES), strict=True))
    assert pairs[name] not in os.environ


PROGRAM = """
import sys, time
from pathlib import Path
from mmdl.runs.flight_recorder import pending_collectives, record_collectives
folder = Path(sys.argv[1])
record_collectives(folder)
import torch, torch.distributed as dist
dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=0, world_size=1)
dist.all_reduce(torch.ones(3))
end = time.monotonic() + 20
while pending_collectives() and time.monotonic() < end:  # a thread of gloo's notes the end a little later
    time.sleep(0.01)
print(pending_collectives())
torch._C._distributed_c10d._dump_fr_trace_file(0)
"""


def test_torch_knows_the_names(environment, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "deprecated" not in done.stderr
    assert done.stdout == "[]\n"
    assert (tmp_path / "nccl-rank=0").stat().st_size

"""A packaged conf/ and a caller's directory of their own, with a command that reports what it was given."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

PACKAGED = {
    "train.yaml": """
# Trains
defaults:
  - data: plain
  - override hydra/job_logging: none
  - _self_
seed: 1
ask: nothing
run: {root: runs}
model: {_target_: mmdl.models.vqa.VQAModel, size: 3}
hydra:
  run: {dir: .}
  sweep: {dir: "${run.root}/multirun/${now:%Y}", subdir: "${hydra.job.num}"}
  output_subdir: null
""",
    "check.yaml": "# Checks\ndefaults:\n  - train\n  - _self_\n",
    "data/plain.yaml": "# Plain data\nroot: here\nbatch_size: 3\ninner:\n  deep: 1\n",
    "data/other.yaml": "# Other data\nroot: there\nbatch_size: 4\n",
    "experiment/vqa.yaml": (
        "# @package _global_\n# Answers questions\ndefaults:\n  - override /data: other\nseed: 7\n"
    ),
}
"""The packaged configs of these tests."""

COMMAND = '''
import json, os, subprocess, sys
from omegaconf import OmegaConf
from mmdl.errors import UserError


def main(cfg):
    seen = {
        "rank": int(os.environ.get("LOCAL_RANK", "0")),
        "argv": sys.argv,
        "cfg": OmegaConf.to_container(cfg, resolve=True),
        "trust": os.environ.get("MMDL_TRUST"),
        "left": os.environ.get("LEFT_BY_A_JOB"),
    }
    print(json.dumps(seen), flush=True)
    os.environ["LEFT_BY_A_JOB"] = "1"
    if cfg.ask in ("rank", "lightning") and seen["rank"] == 0:
        if cfg.ask == "lightning":
            from lightning.fabric.strategies.launchers.subprocess_script import _hydra_subprocess_cmd

            command, cwd = _hydra_subprocess_cmd(local_rank=1)
        else:
            command, cwd = next_rank()
        subprocess.run(command, cwd=cwd, env={**os.environ, "LOCAL_RANK": "1"}, check=True)
    if cfg.ask == "user_error":
        raise UserError("no such thing", "a thing", "look for it")
    if cfg.ask == "bug":
        raise RuntimeError("a bug")
    if cfg.ask == "interrupt":
        raise KeyboardInterrupt
    if cfg.ask == "full_disk":
        raise OSError(28, "No space left on device", "last.ckpt")
    return float(cfg.seed)


def next_rank():
    """What lightning.fabric's subprocess_script._hydra_subprocess_cmd does, without importing Lightning."""
    import __main__
    from hydra.core.hydra_config import HydraConfig
    from hydra.utils import get_original_cwd, to_absolute_path

    if __main__.__spec__ is None:
        command = [sys.executable, to_absolute_path(sys.argv[0])]
    else:
        command = [sys.executable, "-m", __main__.__spec__.name]
    command += sys.argv[1:]
    rundir = f'"{HydraConfig.get().run.dir}"'
    command += [f"hydra.run.dir={rundir}", "hydra.job.name=train_ddp_process_1", "hydra.output_subdir=null"]
    return command, get_original_cwd()
'''

STARTUP = """
import pathlib, sys, types
import mmdl.cli.paths
mmdl.cli.paths.PACKAGED_CONF = pathlib.Path({packaged!r})
for verb in ("train", "check"):
    module = types.ModuleType("mmdl.commands." + verb)
    exec({command!r}, module.__dict__)
    sys.modules[module.__name__] = module
"""


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text.lstrip(), encoding="utf-8")


class Place:
    """A caller's directory, and the command run in it."""

    def __init__(self, root: Path) -> None:
        self.packaged, self.caller, self.site = root / "packaged", root / "caller", root / "site"
        for folder in (self.packaged, self.caller, self.site):
            folder.mkdir()
        write(self.packaged, PACKAGED)
        startup = STARTUP.format(packaged=str(self.packaged), command=COMMAND)
        (self.site / "sitecustomize.py").write_text(startup)

    def run(self, *words: str, console: bool = False, **environment: str) -> subprocess.CompletedProcess[str]:
        """Runs the command in a process of its own, as a module or as the console script."""
        script = Path(sys.executable).with_name("mmdl")
        start = [str(script)] if console else ["-m", "mmdl"]
        paths = [str(self.site), str(Path(__file__).parents[2] / "src")]
        return subprocess.run(
            [sys.executable, *start, *words],
            cwd=self.caller,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    def seen(self, *words: str, **options: Any) -> list[dict[str, Any]]:
        """Runs the command and returns what each of its jobs was given."""
        done = self.run(*words, **options)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """Configs and a working directory of the test's own, for this process and for those that it starts."""
    from mmdl.cli import paths
    from mmdl.instantiate import packaged_targets

    made = Place(tmp_path)
    monkeypatch.setattr(paths, "PACKAGED_CONF", made.packaged)
    monkeypatch.delenv("MMDL_TRUST", raising=False)
    monkeypatch.chdir(made.caller)
    for verb in ("train", "check"):
        module = types.ModuleType(f"mmdl.commands.{verb}")
        exec(COMMAND, module.__dict__)
        monkeypatch.setitem(sys.modules, module.__name__, module)
    packaged_targets.cache_clear()
    yield made
    packaged_targets.cache_clear()

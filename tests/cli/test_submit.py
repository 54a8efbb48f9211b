"""`mmdl submit`: the script on stdout, or a folder with script, commit and configuration, and sbatch."""

import json
import shlex

import pytest
from omegaconf import OmegaConf

from mmdl.__main__ import dispatch
from mmdl.cli.app import compose
from mmdl.commands.submit import submit
from mmdl.errors import UserError

WORDS = ("submit", "+experiment=vqa", "cluster.nodes=2", "trainer.accelerator=cpu", "name=a_name")


@pytest.fixture
def sbatch(tmp_path, monkeypatch):
    """A stand-in for sbatch that answers with a job id and keeps the words that it was given."""
    program = tmp_path / "bin" / "sbatch"
    program.parent.mkdir()
    program.write_text(f'#!/bin/bash\necho "$@" > {tmp_path}/sbatch.words\necho "4711;cluster"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def command_of(script):
    [line] = [line for line in script.splitlines() if line.startswith("srun")]
    return shlex.split(line)


@pytest.mark.parametrize("flag", ["--dry-run", "dry_run=true"])
def test_a_dry_run_prints_the_script_and_does_nothing(flag, sbatch, capsys):
    assert dispatch([*WORDS, flag]) == 0
    script = capsys.readouterr().out
    assert script.startswith("#!/bin/bash\n#SBATCH --job-name=a_name\n#SBATCH --nodes=2\n")
    words = command_of(script)
    assert words[3:6] == ["-m", "mmdl", "train"]
    assert not any(word.startswith(("cluster", "dry_run", "--dry")) for word in words)
    # What the job will run binds through mmdl's own composer.
    cfg = compose("train", words[6:])
    assert (cfg.trainer.num_nodes, cfg.trainer.devices, cfg.name) == (2, 1, "a_name")
    assert not (sbatch / "runs").exists()
    assert not (sbatch / "sbatch.words").exists()


def test_a_job_is_kept_with_commit_and_configuration(sbatch, capsys):
    assert dispatch([*WORDS, "seed=3"]) == 0
    [folder] = (sbatch / "runs" / "submitted").iterdir()
    said = capsys.readouterr().out
    assert "job      4711\n" in said
    assert f"tail -F {folder}/4711.out" in said
    assert "runs/slurm-4711\n" in said
    assert (sbatch / "sbatch.words").read_text().split() == ["--parsable", str(folder / "job.sh")]
    facts = json.loads((folder / "submission.json").read_text())
    assert facts["job"] == "4711"
    assert facts["words"] == ["+experiment=vqa", "trainer.accelerator=cpu", "name=a_name", "seed=3"]
    assert facts["git"].keys() == {"commit", "dirty"}
    assert OmegaConf.load(folder / "config.yaml").cluster.nodes == 2


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (["cluster.nodez=2"], r"unknown config key 'cluster.nodez'"),
        (["cluster=slurn"], "unknown cluster 'slurn'"),
        (["cluster.array=0-2", "seed=1"], "a seed and a run folder of its own"),
        (["cluster.array=0-2", "run.id=x"], "a seed and a run folder of its own"),
        (["model.fusion.nothing=1"], "nothing"),
    ],
)
def test_mistakes_are_found_before_anything_is_submitted(words, match, sbatch):
    with pytest.raises(UserError, match=match):
        dispatch([*WORDS, *words])
    assert not (sbatch / "sbatch.words").exists()
    assert not (sbatch / "runs").exists()


def test_without_sbatch_the_error_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="there is no sbatch"):
        submit(tmp_path / "job.sh")


def test_what_sbatch_refuses_is_said(sbatch):
    (sbatch / "bin" / "sbatch").write_text(
        "#!/bin/bash\necho 'sbatch: error: no such partition' >&2\nexit 1\n"
    )
    with pytest.raises(UserError, match="sbatch refuses the job: no such partition"):
        submit(sbatch / "job.sh")

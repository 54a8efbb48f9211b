"""No secret reaches a run folder, whether from the environment, the command line or what W&B collects by itself."""

import json
import subprocess

import pytest

SECRETS = {
    "WANDB_API_KEY": "0123456789abcdef0123456789abcdef01234567",
    "HF_TOKEN": "hf_" + "PlantedPlantedPlanted99",
    "AWS_ACCESS_KEY_ID": "AKIAPLANTEDPLANTED99",
    "AWS_SECRET_ACCESS_KEY": "planted/aws/secret/access/key/0123456789",
    "DATABASE_PASSWORD": "planted-database-password",
    "SLURM_JWT": "planted.slurm.jwt",
    "SLURM_JOB_COMMENT": "planted-slurm-comment",
}
IN_CONFIG = {
    "+notes.api_key": "planted-api-key",
    "+notes.hub.token": "planted-token",
    "+notes.password": "planted-password",
    "+notes.address": "https://planted-user:planted-login@example.com/x",
    "+notes.copied": SECRETS["DATABASE_PASSWORD"],
    "+notes.inside": "{name: a, access_key: planted-inside}",
}
PLANTED = (
    *SECRETS.values(),
    *("planted-api-key", "planted-token", "planted-password", "planted-login", "planted-inside"),
    *("planted-remote-user", "planted-remote-word", "planted-uncommitted", "planted-script"),
)


def git(folder, *words):
    subprocess.run(["git", "-C", str(folder), *words], check=True, capture_output=True, timeout=60)


@pytest.fixture(scope="module")
def run(tmp_path_factory, launch):
    """A quick run with secrets everywhere, in a repository whose remote has a login and that has changes."""
    root = tmp_path_factory.mktemp("secrets")
    (root / "train.py").write_text("key = 'planted-script'\n")
    git(root, "init", "-q")
    git(root, "add", "train.py")
    git(root, "-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-qm", "x")
    git(root, "remote", "add", "origin", "https://planted-remote-user:planted-remote-word@example.com/x.git")
    (root / "train.py").write_text("key = 'planted-uncommitted'\n")
    words = [
        *("train", "+experiment=vqa", "quick=true", "run.id=s", "evaluator=[vqa_accuracy]"),
        *(f"{name}={value}" if value[0] == "{" else f'{name}="{value}"' for name, value in IN_CONFIG.items()),
    ]
    environment = SECRETS | {"SLURM_NNODES": "1", "WANDB_MODE": "offline"}
    done = launch(root, words, environment=environment)
    assert done.code == 0, done.stderr
    return root / "runs" / "s"


def test_no_secret_is_in_any_file_of_the_run_folder(run):
    files = [path for path in run.rglob("*") if path.is_file()]
    assert len([path for path in files if path.suffix == ".wandb"]) == 1
    assert {"config.yaml", "manifest.json", "requirements.txt", "debug.log"} <= {path.name for path in files}
    contents = {path: path.read_bytes() for path in files}
    assert any(b"<redacted>" in content for content in contents.values())
    for secret in PLANTED:
        found = [path.name for path, content in contents.items() if secret.encode() in content]
        assert not found, secret


def test_what_identifies_the_run_is_still_there(run, offline_run):
    [path] = run.glob("wandb/offline-run-*/*.wandb")
    found = offline_run(path)
    environment = found.of("environment")[0]
    assert environment["git"]["remote_url"] == "https://<redacted>@example.com/x.git"
    assert environment["git"]["commit"] == json.loads((run / "manifest.json").read_text())["git"]["commit"]
    assert environment["slurm"] == {"nnodes": "1"}
    assert "+experiment=vqa" in environment["args"]
    assert [word for word in environment["args"] if "redacted" in word]
    assert not {"diff.patch", "code"} & {path.name for path in run.rglob("*") if "files" in path.parts}

"""The wheel works from any directory; the scripts are sound."""

import os
import subprocess
import sys
import zipfile

import pytest


@pytest.fixture(scope="module")
def wheel(repo, tmp_path_factory):
    """mmdl's wheel, built from a copy of the tracked files without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, repo],
        check=True,
        capture_output=True,
    )
    [path] = folder.glob("*.whl")
    return path


def test_conf_is_in_the_wheel(wheel, repo):
    names = zipfile.ZipFile(wheel).namelist()
    wanted = {f"mmdl/{path.relative_to(repo)}" for path in (repo / "conf").rglob("*.yaml")}
    assert wanted <= set(names)
    assert not any(name.startswith("tests/") for name in names)


def test_the_wheel_trains_from_elsewhere(wheel, tmp_path):
    """Installed into a folder of its own, without the checkout on the path."""
    site, elsewhere = tmp_path / "site", tmp_path / "elsewhere"
    elsewhere.mkdir()
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--target",
        site,
        wheel,
    ]
    subprocess.run(pip, check=True, capture_output=True)
    env = os.environ | {"PYTHONPATH": str(site), "PYTHONSAFEPATH": "1"}
    where = [sys.executable, "-c", "import mmdl; print(mmdl.__file__)"]
    found = subprocess.run(where, env=env, cwd=elsewhere, capture_output=True, text=True, check=True).stdout
    assert found.startswith(str(site))
    (elsewhere / "conf" / "experiment").mkdir(parents=True)
    (elsewhere / "conf" / "experiment" / "mine.yaml").write_text(
        "# @package _global_\n# My own experiment\ndefaults:\n  - vqa\nname: mine\nquick: true\n"
    )
    words = ["train", "+experiment=mine", "logger=none", "run.id=x", "evaluator=[vqa_accuracy]"]
    done = subprocess.run(
        [sys.executable, "-m", "mmdl", *words],
        env=env,
        cwd=elsewhere,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (elsewhere / "runs" / "x" / "summary.json").is_file()
    assert sorted(p.name for p in elsewhere.iterdir()) == ["conf", "runs"]


@pytest.mark.parametrize("script", ["scripts/mmdl", "scripts/test", "scripts/environment.sh", ".ci/run"])
def test_scripts_parse(repo, script):
    subprocess.run(["bash", "-n", repo / script], check=True)


def test_the_script_runs_mmdl_with_its_arguments(repo):
    if not list((repo / ".venv").glob(".mmdl*")):
        pytest.skip(
            "no .venv made by scripts/mmdl or scripts/test: tests run in an environment of the user's own"
        )
    done = subprocess.run(
        [repo / "scripts" / "mmdl", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("mmdl ")


def test_no_suitable_python_is_said_clearly(repo, tmp_path):
    script = f'source "{repo}/scripts/environment.sh"; PATH={tmp_path}; PYTHON=; _find_python'
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "3.11, 3.12 or 3.13" in done.stderr


@pytest.mark.parametrize(("free", "code"), [(9_000_000, 0), (8_999_000, 2)])
def test_a_full_disk_is_said_before_anything_is_installed(repo, tmp_path, free, code):
    df = tmp_path / "df"
    df.write_text(f"#!/bin/sh\necho Filesystem blocks Used Available\necho /dev/disk 1 1 {free} 1% /\n")
    df.chmod(0o755)
    script = f'source "{repo}/scripts/environment.sh"; PATH="{tmp_path}:$PATH"; _enough_disk /x 9000 "the environment"'
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == code
    said = "not enough disk for the environment: 8999 MB free in /x, about 9000 MB needed"
    assert (said in done.stderr) == (code == 2)

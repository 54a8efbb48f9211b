"""The benchmarks of the README run and print their ratios; the figures are for a quiet machine."""

import json
import re
import subprocess
import sys

import pytest


def run(repo, tmp_path, name, *words):
    done = subprocess.run(
        [sys.executable, str(repo / "benchmarks" / name), *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_readme_names_every_benchmark(repo):
    named = set(re.findall(r"python benchmarks/(\w+\.py)", (repo / "README.md").read_text()))
    assert named == {path.name for path in (repo / "benchmarks").glob("*.py")}


@pytest.mark.parametrize("extra", [[], ["--plain"]], ids=["augmented", "plain"])
def test_an_epoch_side_by_side(repo, tmp_path, extra):
    from mmdl.data.mnist import write_fixture

    write_fixture(tmp_path / "mnist")
    out = run(repo, tmp_path, "mnist_epoch.py", "1", str(tmp_path / "mnist"), *extra)
    ratios = dict(
        re.findall(r"^(loop|mmdl|usual Lightning) .*?([\d.]+) x the loop's time$", out, re.MULTILINE)
    )
    assert ratios.keys() == {"loop", "mmdl", "usual Lightning"}
    assert float(ratios["loop"]) == 1.0


@pytest.mark.parametrize("loss", ["infonce", pytest.param("siglip", marks=pytest.mark.slow)])
def test_peak_memory_of_the_contrastive_losses(repo, tmp_path, loss):
    words = ("1500", "--dim", "64", "--tile", "100", "--loss", loss)
    out = run(repo, tmp_path, "contrastive_memory.py", *words)
    [row] = re.findall(r"^ +1500 .* ([\d.]+)x +open_clip (\S+)  tiled (\S+)$", out, re.MULTILINE)
    ratio, *differs = map(float, row)
    assert ratio > 4
    assert max(differs) < 1e-5


@pytest.mark.slow
def test_clip_beside_open_clip(repo, tmp_path):
    pytest.importorskip("webdataset", reason='pip install "open_clip_torch[training]"')
    model = tmp_path / "model.json"
    vision = {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16}
    text = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
    model.write_text(json.dumps({"embed_dim": 32, "vision_cfg": vision, "text_cfg": text}))
    words = ["--rounds=1", "--images=32", "--batch=16", "--epochs=2", "--workers=0", f"--model={model}"]
    out = run(repo, tmp_path, "clip_throughput.py", *words)
    found = re.findall(r"^(open_clip|mmdl) +([\d.]+)  x([\d.]+) +((?:-?[\d.]+ +){5})", out, re.MULTILINE)
    assert [arm for arm, *_ in found] == ["open_clip", "mmdl"]
    assert found[0][2] == "1.00"
    for _, rate, _, split in found:
        assert float(rate) > 0
        assert all(float(part) > 0 for part in split.split()[:4]), "data, forward, backward, optimizer"


def test_clip_beside_open_clip_says_what_is_not_installed(repo, tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['webdataset'] = None\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{repo / 'src'}")
    assert "skipped: webdataset not installed" in run(repo, tmp_path, "clip_throughput.py")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "arms"), [("allocator.py", 2), ("image_encoding.py", 3)])
def test_the_others(repo, tmp_path, name, arms):
    assert len(re.findall(r" x\d+\.\d\d$", run(repo, tmp_path, name, "1"), re.MULTILINE)) == arms

from __future__ import annotations

import os

import pytest

from mmdl.cli.arguments import export_trust, parse_hydra, take_trust
from mmdl.errors import UserError


def test_flags_and_overrides_mix_in_any_order(tmp_path):
    found = parse_hydra(["a=1", "--config-dir", str(tmp_path), "b=2", "-m", "hydra.run.dir=x"])
    assert found.overrides == ["a=1", "b=2", "hydra.run.dir=x"]
    assert found.config_dir == str(tmp_path)
    assert found.multirun


@pytest.mark.parametrize(
    "words", [["--trust"], ["--trust", "a-b"], ["--trust=_x"], ["--trust="], ["--trust", "a=1"]]
)
def test_trust_needs_a_package_name(words):
    with pytest.raises(UserError, match="not a package name"):
        take_trust(words)


def test_trust_is_added_to_the_environment_once(monkeypatch):
    monkeypatch.setenv("MMDL_TRUST", "a,b")
    export_trust(["b", "c.d"])
    assert os.environ["MMDL_TRUST"] == "a,b,c.d"
    monkeypatch.delenv("MMDL_TRUST")
    export_trust([])
    assert "MMDL_TRUST" not in os.environ

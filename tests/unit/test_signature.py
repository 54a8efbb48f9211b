from __future__ import annotations

import sys

import pytest
from omegaconf import OmegaConf

from mmdl.cli import paths, source
from mmdl.instantiate import packaged_targets
from mmdl.signature import binding_errors, signature_of

BASE = """
from dataclasses import dataclass, field
from typing import ClassVar, Literal, NamedTuple
from pathlib import Path
from torch import nn

Kind = Literal["mean", "max"]

class Parent:
    def __init__(self, root: Path, batch_size: int = 8, *, workers: int | None = None) -> None: ...
"""
CHILD = """
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple
from torch import nn
from lightning.pytorch import LightningModule
from mmdl.data.base_test import Kind, Parent
from . import base_test

class Inherits(Parent): ...

class Extends(base_test.Parent):
    def __init__(self, split: str, pool: Kind = "mean", **rest) -> None:
        super().__init__(**rest)

class Closed(Parent):
    def __init__(self, only: bool) -> None: ...

class Plain(nn.Module): ...

class Foreign(LightningModule): ...

@dataclass(frozen=True)
class Record:
    name: str
    sizes: tuple[int, ...] = (1, 2)
    cache: dict[str, int] = field(default_factory=dict)
    shared: ClassVar[int] = 3
    hidden: int = field(init=False, default=0)

class Pair(NamedTuple):
    first: int
    second: float = 0.5

def schedule(optimizer, steps: int, *, warmup: float = 0.0): ...
"""
T = "mmdl.data.child_test."


@pytest.fixture(autouse=True)
def modules(tmp_path, monkeypatch):
    files = {
        "mmdl.data.base_test": tmp_path / "base_test.py",
        "mmdl.data.child_test": tmp_path / "child_test.py",
    }
    files["mmdl.data.base_test"].write_text(BASE)
    files["mmdl.data.child_test"].write_text(CHILD)
    find_file = source.module_file

    def module_file(name):
        return files.get(name) or find_file(name)

    for module in ("mmdl.cli.source", "mmdl.signature"):
        monkeypatch.setattr(f"{module}.module_file", module_file)
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "a.yaml").write_text(
        f"a:\n  _target_: fractions.Fraction\nb:\n  _target_: {T}schedule\n"
    )
    monkeypatch.setattr(paths, "PACKAGED_CONF", tmp_path / "conf")
    packaged_targets.cache_clear()
    yield
    packaged_targets.cache_clear()


@pytest.mark.parametrize(
    ("name", "parameters", "is_open"),
    [
        ("Inherits", {"root": True, "batch_size": False, "workers": False}, False),
        (
            "Extends",
            {"root": True, "batch_size": False, "workers": False, "split": True, "pool": False},
            False,
        ),
        ("Closed", {"only": True}, False),
        ("Plain", {}, False),
        ("Record", {"name": True, "sizes": False, "cache": False}, False),
        ("Pair", {"first": True, "second": False}, False),
        ("schedule", {"optimizer": True, "steps": True, "warmup": False}, False),
    ],
)
def test_signatures_are_read_from_the_source(name, parameters, is_open):
    signature = signature_of(T + name)
    assert {one.name: one.required for one in signature.parameters.values()} == parameters
    assert signature.open == is_open
    assert "mmdl.data.child_test" not in sys.modules


def test_a_signature_that_the_source_does_not_tell_is_unknown():
    assert signature_of(T + "Foreign") is None
    assert signature_of("fractions.Fraction") is None
    imported = signature_of("fractions.Fraction", imports=True)
    assert list(imported.parameters)[:2] == ["numerator", "denominator"]


def errors(config, **options):
    return binding_errors(OmegaConf.create(config), **options)


def test_all_errors_come_at_once_with_path_and_fix():
    found = errors(
        {
            "data": {"_target_": T + "Extends", "split": 3, "batch_sze": 4, "pool": "men"},
            "parts": [
                {"_target_": T + "Record", "name": "???", "sizes": [1, "a"]},
                {"_target_": T + "Recrd"},
            ],
            "evil": {"_target_": "os.system"},
        }
    )
    assert [(error.given.split(": ")[0], error.valid.split(",")[0], error.fix) for error in found] == [
        ("data.batch_sze", "batch_size", "data.batch_size=4, or ~data.batch_sze"),
        ("data.root is missing", "", "+data.root=Path"),
        ("data.split", "str", "data.split=\"'3'\""),
        ("data.pool", "mean", "data.pool=mean"),
        ("parts.0.name has no value", "", "parts.0.name=str"),
        ("parts.0.sizes", "tuple[int", ""),
        ("parts.1._target_", "Record", ""),
        ("evil._target_", found[7].valid.split(",")[0], found[7].fix),
    ]
    assert "--trust os" in found[7].fix


def test_arguments_of_the_program_are_not_missing():
    config = {"a": {"_target_": T + "schedule"}, "b": {"_target_": T + "schedule", "steps": 1}}
    assert len(errors(config)) == 3
    assert errors(config, provided={"a": ["optimizer", "steps"], T + "schedule": {"optimizer"}}) == []
    assert errors({"_target_": T + "schedule", "_partial_": True}) == []
    assert errors({"_target_": T + "schedule", "_args_": ["x", 3]}) == []
    assert len(errors({"_target_": T + "schedule", "_partial_": True, "warm": 1})) == 1


def test_interpolations_are_followed_and_unknown_facts_pass():
    config = {
        "n": None,
        "size": 7,
        "x": {"_target_": T + "Pair", "first": "${n}", "second": "${size}"},
        "y": {"_target_": T + "Pair", "first": "${later:3}"},
        "z": {"_target_": T + "Pair", "first": "${sise}"},
        "w": {"_target_": T + "Pair", "first": None},
    }
    found = errors(config)
    assert [error.given.split(":")[0] for error in found] == ["z.first", "w.first"]
    assert found[0].valid.startswith("size")


def test_third_party_targets_are_bound_on_request():
    config = {"_target_": "fractions.Fraction", "numer": 1}
    assert errors(config) == []
    found = errors(config, imports=True, path="part")
    assert found[0].given.startswith("part.numer: fractions.Fraction has no argument 'numer'")


def test_a_sound_config_has_no_errors():
    assert (
        errors({"_target_": T + "Extends", "split": "a", "root": "b", "workers": None, "pool": "max"}) == []
    )
    assert binding_errors({"a": [1, {"b": None}]}) == []


@pytest.mark.parametrize("name", ["mnist", "webdataset", "coco_captions", "hub", "vqa_json"])
def test_the_options_that_data_sets_share_are_known(name):
    """They stand in a module of their own, and the module of the data module passes them on."""
    signature = signature_of(f"mmdl.data.{name}.{name}")
    assert not signature.open, "an unknown key would pass"
    assert {"batch_size", "num_workers", "seed"} <= signature.parameters.keys()

from __future__ import annotations

import functools
import importlib
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from mmdl.cli import paths
from mmdl.errors import UserError, UserErrors
from mmdl.instantiate import allowed, collect_targets, instantiate, packaged_targets, target_errors

DANGEROUS = """
os.system os.popen os.execv os.spawnl os.posix_spawn os.makedirs os.remove os.rename os.symlink os.chmod os.kill
os.putenv os.environ.update posix.system subprocess.run subprocess.Popen subprocess.call subprocess.check_output
subprocess.getoutput pty.spawn shutil.rmtree shutil.copyfile shutil.move tempfile.mkdtemp pathlib.Path.unlink
pathlib.Path.write_text builtins.eval builtins.exec builtins.compile builtins.open builtins.__import__ builtins.getattr
builtins.setattr importlib.import_module importlib.util.spec_from_file_location runpy.run_path runpy.run_module
code.interact pickle.loads pickle.load pickle.Unpickler marshal.loads shelve.open ctypes.CDLL socket.create_connection
urllib.request.urlopen urllib.request.urlretrieve http.client.HTTPConnection asyncio.create_subprocess_shell
asyncio.create_subprocess_exec multiprocessing.Process threading.Thread webbrowser.open antigravity.antigravity
smtplib.SMTP logging.config.dictConfig logging.FileHandler functools.partial functools.reduce operator.methodcaller
types.FunctionType numpy.load numpy.fromfile yaml.unsafe_load torch.load torch.save torch.hub.load
torch.utils.collect_env.run torch.utils.cpp_extension.load torch.ops.load_library torch.compile torch.jit.load
transformers.AutoModel.from_pretrained datasets.load_dataset wandb.init hydra.utils.instantiate hydra.utils.get_method
hydra.utils.get_class hydra.utils.get_object hydra._internal.utils._locate hydra.main
omegaconf.OmegaConf.register_new_resolver mmdl.errors.os.system mmdl.instantiate.instantiate mmdl.instantiate.locate
mmdl.__main__.main mmdl.cli.app.run mmdl.cli.source.find mmdl.data.paths.os.system mmdl.data.base.os.system
mmdl.data.download.os.system mmdl.models.features.NamedTuple mmdl.batch.torch.load mmdl.runs.files.os.remove
mmdl.commands.train.main mmdl.data.__builtins__.eval mmdl.data.answers.__builtins__ mmdl.data.answers._x mmdl mmdl.data
"""
REFUSED = [*DANGEROUS.split(), "", ".", "os", "a..b", "os.system()", "mmdl.data/base.X", "${x}", "../x.Y"]

OWN = """
import os
from mmdl.data.other import Elsewhere

class Open:
    def __init__(self, size, name="x", inner=None, items=(), **more):
        self.given = dict(size=size, name=name, inner=inner, items=items, **more)

class _Hidden: ...

def function(path): ...
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A module `mmdl.data.own_test`, and a packaged conf that names one function and one third-party class."""
    from mmdl.cli import source

    module = tmp_path / "own_test.py"
    module.write_text(OWN.replace("from mmdl.data.other import Elsewhere\n", "Elsewhere = os.PathLike\n"))
    conf = tmp_path / "conf" / "data"
    conf.mkdir(parents=True)
    (conf / "a.yaml").write_text(
        "# _target_: os.system\n_target_: mmdl.data.own_test.function\nx:\n  - {_target_: 'fractions.Fraction', a: 1}\n"
        "y: {_target_: os.${z}}\nz: not_target_: os.remove\n"
    )
    monkeypatch.setattr(paths, "PACKAGED_CONF", tmp_path / "conf")
    monkeypatch.delenv("MMDL_TRUST", raising=False)
    find_file = source.module_file
    monkeypatch.setattr(
        source, "module_file", lambda name: module if name == "mmdl.data.own_test" else find_file(name)
    )
    spec = importlib.util.spec_from_file_location("mmdl.data.own_test", module)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    monkeypatch.setitem(sys.modules, "mmdl.data.own_test", loaded)
    import mmdl.data

    monkeypatch.setattr(mmdl.data, "own_test", loaded, raising=False)
    packaged_targets.cache_clear()
    yield loaded
    packaged_targets.cache_clear()


@pytest.mark.parametrize("name", REFUSED)
def test_dangerous_names_are_refused_wherever_they_stand(name):
    assert not allowed(name)
    node = {"_target_": name, "x": 1}
    configs = [
        node,
        [node],
        {"a": {"b": [1, {"c": node}]}},
        {"_target_": "mmdl.data.base.DataModule", "_args_": [node]},
        {"callbacks": [{"x": 1}, node]},
        {**node, "_partial_": True},
        {**node, "_recursive_": False},
    ]
    for config in configs:
        assert target_errors(config)
        with pytest.raises(UserError):
            instantiate(config)
        with pytest.raises(UserError):
            instantiate(OmegaConf.create(config))


def test_the_table_is_long_enough():
    assert len(set(DANGEROUS.split())) >= 52


def test_the_packaged_configs_name_nothing_dangerous():
    packaged_targets.cache_clear()
    assert not packaged_targets() & set(REFUSED)
    assert all(
        not name.startswith(("os.", "subprocess.", "builtins.", "hydra.")) for name in packaged_targets()
    )


def test_packaged_names_are_read_literally_and_comments_are_not(own):
    assert packaged_targets() == {"mmdl.data.own_test.function", "fractions.Fraction"}


def test_own_classes_are_allowed_and_functions_only_where_the_packaged_conf_names_them(own):
    assert allowed("mmdl.data.own_test.Open")
    assert allowed("mmdl.data.own_test.function")
    assert allowed("fractions.Fraction")
    for name in ("_Hidden", "os", "os.system", "Elsewhere", "Open.__init__", "nothing"):
        assert not allowed(f"mmdl.data.own_test.{name}")
    assert not allowed("fractions.Decimal")


def test_the_callers_conf_adds_nothing(own, tmp_path, monkeypatch):
    (tmp_path / "elsewhere" / "conf").mkdir(parents=True)
    (tmp_path / "elsewhere" / "conf" / "train.yaml").write_text("_target_: os.system\n")
    monkeypatch.chdir(tmp_path / "elsewhere")
    packaged_targets.cache_clear()
    assert not allowed("os.system")


def test_a_trusted_package_is_allowed_but_not_what_it_imports(tmp_path, monkeypatch):
    (tmp_path / "mylab_for_test").mkdir()
    (tmp_path / "mylab_for_test" / "__init__.py").write_text("")
    (tmp_path / "mylab_for_test" / "nets.py").write_text("import os\nfrom os import system\nclass Net: ...\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert not allowed("mylab_for_test.nets.Net")
    monkeypatch.setenv("MMDL_TRUST", "other, mylab_for_test")
    assert allowed("mylab_for_test.nets.Net")
    assert type(instantiate({"_target_": "mylab_for_test.nets.Net"})).__name__ == "Net"
    for name in ("nets.os.system", "nets.system", "nets._x", "nets.__builtins__"):
        assert not allowed(f"mylab_for_test.{name}")
    assert not allowed("mylab_for_testing.nets.Net")


def test_all_refusals_come_at_once_with_their_places(own):
    config = {"a": {"_target_": "os.system"}, "b": [{"_target_": "torch.load"}], "c": {"_target_": 3}}
    with pytest.raises(UserErrors) as caught:
        instantiate(OmegaConf.create({"top": config}).top)
    assert [error.given.split(" ")[0] for error in caught.value.errors] == [
        "top.a._target_:",
        "top.b.0._target_:",
        "top.c._target_:",
    ]
    assert caught.value.errors[1].fix.endswith("--trust torch")
    assert list(collect_targets({"a": [{"_target_": "x"}]}, "top")) == [("top.a.0", "x")]


def test_objects_are_built_with_plain_containers(own):
    config = OmegaConf.create(
        {
            "n": 3,
            "part": {
                "_target_": "mmdl.data.own_test.Open",
                "size": "${n}",
                "inner": {"_target_": "mmdl.data.own_test.Open", "size": 1},
                "items": [{"_target_": "fractions.Fraction", "_args_": [1, 2]}, {"k": [1]}],
            },
        }
    )
    built = instantiate(config.part, name="given")
    assert built.given["size"] == 3
    assert built.given["name"] == "given"
    assert isinstance(built.given["inner"], own.Open)
    assert str(built.given["items"][0]) == "1/2"
    assert type(built.given["items"][1]) is dict
    assert type(built.given["items"][1]["k"]) is list


def test_objects_of_the_program_are_handed_over_untouched(own):
    vocabulary = {"a": object(), 3: [1]}
    built = instantiate({"_target_": "mmdl.data.own_test.Open", "size": "???"}, size=vocabulary)
    assert built.given["size"] is vocabulary


def test_partial_recursive_and_convert_work_as_in_hydra(own):
    target = "mmdl.data.own_test.Open"
    partial = instantiate({"_target_": target, "_partial_": True, "size": 1})
    assert isinstance(partial, functools.partial)
    assert partial(name="late").given["name"] == "late"
    assert instantiate({"_target_": target, "_partial_": True}, 7, name="n")().given["size"] == 7
    raw = instantiate(
        {"_target_": target, "_recursive_": False, "size": 1, "inner": {"_target_": target, "size": 2}}
    )
    assert raw.given["inner"] == {"_target_": target, "size": 2}
    kept = instantiate({"_target_": target, "_convert_": "none", "size": 1, "inner": {"a": 1}})
    assert OmegaConf.is_config(kept.given["inner"])
    assert instantiate(None) is None
    both = instantiate({"a": {"_target_": target, "size": 1}, "b": {"c": 2}})
    assert both["a"].given["size"] == 1
    assert both["b"] == {"c": 2}


def test_an_escaped_interpolation_can_not_become_a_target(own):
    config = OmegaConf.create(
        {"_target_": "mmdl.data.own_test.Open", "size": r"\${oc.create:'{_target_: os.system}'}"}
    )
    with pytest.raises(UserError, match="resolved twice"):
        instantiate(config)


def test_a_wrong_argument_is_the_users_error_and_a_failing_constructor_is_not(own):
    with pytest.raises(UserErrors) as caught:
        instantiate(OmegaConf.create({"part": {"_target_": "fractions.Fraction", "numeratr": 3}}).part)
    assert caught.value.errors[0].given.startswith("part.numeratr: fractions.Fraction has no argument")
    with pytest.raises(ZeroDivisionError):
        instantiate({"_target_": "fractions.Fraction", "numerator": 1, "denominator": 0})
    with pytest.raises(UserErrors, match="size has no value"):
        instantiate({"_target_": "mmdl.data.own_test.Open", "size": "???"})
    with pytest.raises(UserErrors, match="size is missing"):
        instantiate({"_target_": "mmdl.data.own_test.Open"})


def test_every_packaged_target_of_mmdl_exists():
    packaged_targets.cache_clear()
    assert Path(paths.PACKAGED_CONF).is_dir()
    from mmdl.cli.source import find

    assert [name for name in packaged_targets() if name.startswith("mmdl.") and find(name) is None] == []

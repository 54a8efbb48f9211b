from __future__ import annotations

import pytest

from mmdl.__main__ import dispatch
from mmdl.cli.app import compose
from mmdl.cli.guard import hydra_errors
from mmdl.errors import UserError

EVIL = "pathlib.Path.touch"


@pytest.mark.parametrize(
    "name", ["os.system", "torch.load", "asyncio.create_subprocess_shell", "builtins.open"]
)
@pytest.mark.parametrize(
    "override",
    [
        "+hydra.callbacks.x={{_target_:{name},x:1}}",
        "+hydra.callbacks.x.deep=[{{_target_:{name}}}]",
        "+hydra.sweeper.x={{_target_:{name}}}",
        "+hydra.sweeper.x.y={{_target_:{name},_partial_:true}}",
        "+hydra.sweeper.custom_search_space={name}",
        "+hydra.launcher.x={{_target_:{name}}}",
        "hydra.launcher._target_={name}",
        "hydra.sweeper._target_={name}",
        "++hydra.job_logging.handlers.x.class={name}",
        "++hydra.hydra_logging.formatters.simple.class={name}",
        "++hydra.hydra_logging.handlers.console.stream=ext://{name}",
        "+hydra.callbacks.x=${{evil}}",
    ],
)
def test_hydra_itself_is_handed_no_foreign_name(place, name, override):
    with pytest.raises(UserError) as caught:
        dispatch(["train", override.format(name=name), f"+evil={{_target_:{name}}}"])
    assert "hydra." in str(caught.value)
    assert name in str(caught.value)


def test_a_logging_factory_is_refused_too(place):
    (place.caller / "conf" / "experiment").mkdir(parents=True)
    (place.caller / "conf" / "experiment" / "evil.yaml").write_text(
        f"# @package _global_\nhydra:\n  job_logging:\n    handlers:\n      x: {{'()': {EVIL}, self: here}}\n"
    )
    for words in (["+experiment=evil"], ["-m", "+experiment=vqa,evil"], ["--cfg", "job", "+experiment=evil"]):
        with pytest.raises(UserError, match=r"hydra\.job_logging\.handlers\.x\.\(\): 'pathlib\.Path\.touch'"):
            dispatch(["train", *words])
    assert not (place.caller / "here").exists()


def test_an_interpolation_that_is_known_only_later_is_refused_where_it_could_become_a_node(place):
    with pytest.raises(UserError, match="can't be resolved before the run starts"):
        dispatch(["train", "+hydra.callbacks.x=${hydra:runtime.nope}"])


def test_hydras_own_plugins_pass(place):
    config = compose("train", ["hydra/job_logging=default", "hydra/hydra_logging=default"], with_hydra=True)
    assert hydra_errors(config) == []
    callback = "+hydra.callbacks.x._target_=hydra.experimental.callbacks.LogJobReturnCallback"
    assert hydra_errors(compose("train", [callback], with_hydra=True)) == []


@pytest.mark.parametrize(
    ("name", "refused"),
    [
        ("MMDL_TRUST", True),
        ("PYTHONPATH", True),
        ("LD_PRELOAD", True),
        ("PATH", True),
        ("HYDRA_INSTANTIATE_ALLOWLIST_OVERRIDE", True),
        ("OMP_NUM_THREADS", False),
        ("WANDB_MODE", False),
    ],
)
def test_a_config_can_not_set_what_decides_which_code_runs(place, name, refused):
    override = f"+hydra.job.env_set.{name}=x"
    if refused:
        with pytest.raises(UserError, match=rf"hydra\.job\.env_set\.{name}"):
            compose("train", [override])
    else:
        assert compose("train", [override]).seed == 1


def test_a_search_path_imports_no_foreign_package(place):
    with pytest.raises(UserError, match=r"'pkg://this\.conf' would import the package 'this'"):
        compose("train", ["hydra.searchpath=[pkg://this.conf]"])
    (place.caller / "conf").mkdir()
    text = (
        (place.packaged / "train.yaml")
        .read_text()
        .replace("hydra:\n", "hydra:\n  searchpath: [pkg://antigravity]\n")
    )
    (place.caller / "conf" / "train.yaml").write_text(text)
    with pytest.raises(UserError, match="antigravity"):
        compose("train")


def test_a_trusted_package_may_be_a_callback(place, monkeypatch):
    (place.caller / "mylab_callbacks.py").write_text(
        "from hydra.experimental.callback import Callback\nclass Mine(Callback): ...\n"
    )
    monkeypatch.syspath_prepend(str(place.caller))
    override = "+hydra.callbacks.x._target_=mylab_callbacks.Mine"
    with pytest.raises(UserError, match="--trust mylab_callbacks"):
        compose("train", [override])
    monkeypatch.setenv("MMDL_TRUST", "mylab_callbacks")
    assert compose("train", [override]).seed == 1

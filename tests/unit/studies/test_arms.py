"""The configurations of a study's arms, and all that can be wrong with them at once."""

from types import SimpleNamespace

import pytest
from omegaconf import OmegaConf

from mmdl.assembly import build_data
from mmdl.cli.app import compose
from mmdl.errors import UserError, UserErrors
from mmdl.instantiate import instantiate
from mmdl.runs.folder import RunFolder
from mmdl.studies.arms import flat, make_arms


@pytest.fixture
def arms_of(tmp_path):
    """Arms of the descent study with these overrides."""

    def make(*overrides):
        cfg = compose("train", ["+experiment=descent", "quick=true", "logger=none", *overrides]).copy()
        OmegaConf.set_struct(cfg, False)
        cfg.run = {"root": str(tmp_path), "id": "s", "dir": str(tmp_path / "s")}
        data = build_data(cfg)
        return make_arms(cfg, instantiate(cfg.study), RunFolder(tmp_path, "s"), data)

    return make


def test_nested_and_full_keys_are_the_same():
    nested = {"data": {"batch_size": "all"}, "optimizer": {"lr": 0.1, "momentum": 0.9}}
    full = {"data.batch_size": "all", "optimizer.lr": 0.1, "optimizer.momentum": 0.9}
    assert dict(flat(nested)) == dict(flat(full)) == full


def test_arms_share_all_but_their_settings(arms_of, tmp_path):
    arms = arms_of()
    assert [arm.name for arm in arms] == ["full_batch", "mini_batch", "stochastic"]
    assert [arm.config.data.batch_size for arm in arms] == [64, 32, 1]
    assert len({arm.config.optimizer.lr for arm in arms}) == 2
    own = {"run", "data", "optimizer"}
    plain = [OmegaConf.to_container(arm.config, resolve=True) for arm in arms]
    for other in plain[1:]:
        shared = {k: v for k, v in plain[0].items() if k not in own | {"callbacks"}}
        assert shared == {k: v for k, v in other.items() if k not in own | {"callbacks"}}
        assert {**other["data"], "batch_size": 64} == plain[0]["data"]
        assert {**other["optimizer"], "lr": 0.1} == plain[0]["optimizer"]
    assert plain[0]["optimizer"]["momentum"] == 0
    assert plain[2]["callbacks"]["checkpoints"]["folder"] == str(tmp_path / "s/arms/stochastic/checkpoints")
    assert [arm.config.run.id for arm in arms] == ["s.full_batch", "s.mini_batch", "s.stochastic"]
    assert all(arm.config.study is None for arm in arms)


def test_arms_come_from_the_command_line(arms_of):
    arms = arms_of(
        "+study.arms.momentum={data: {batch_size: 16}, optimizer: {lr: 0.02, momentum: 0.9}}",
        "study.arms.mini_batch.optimizer.lr=0.3",
        "~study.arms.full_batch",
    )
    assert [arm.name for arm in arms] == ["mini_batch", "stochastic", "momentum"]
    assert arms[0].config.optimizer.lr == 0.3
    assert (arms[2].config.data.batch_size, arms[2].config.optimizer.momentum) == (16, 0.9)
    assert arms[2].described() == "data.batch_size=16  optimizer.lr=0.02  optimizer.momentum=0.9"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("+study.arms.a={model: {norm: batch}}", "can't change model.norm"),
        ("+study.arms.a={seed: 3}", "can't change seed"),
        ("+study.arms.a={trainer: {max_epochs: 3}}", "can't change trainer.max_epochs"),
        ("+study.arms.a={optimizer: {momentun: 0.9}}", "momentun"),
        ("+study.arms.a={data: {batch_size: some}}", "batch_size"),
        ("+study.arms.a=3", "no mapping"),
        ("callbacks=[default]", "needs the callback descent_curve"),
        ("trainer.devices=2", "trainer.devices=2"),
    ],
)
def test_mistakes_are_named(arms_of, override, message):
    with pytest.raises(UserError) as caught:
        arms_of(override)
    assert message in str(caught.value)
    assert "valid" in str(caught.value)


def test_all_mistakes_at_once(arms_of):
    with pytest.raises(UserErrors) as caught:
        arms_of(
            "+study.arms.a={seed: 3}", "+study.arms.b={optimizer: {momentun: 0.9}}", "callbacks=[default]"
        )
    text = str(caught.value)
    assert "3 errors" in text
    for part in ("study.arms.a: an arm can't change seed", "study.arms.b:", "descent_curve"):
        assert part in text


def test_a_study_without_arms_is_refused(arms_of):
    words = [f"~study.arms.{name}" for name in ("full_batch", "mini_batch", "stochastic")]
    with pytest.raises(UserErrors) as caught:
        arms_of(*words)
    assert "no arms" in str(caught.value)


def test_an_arm_that_has_finished_keeps_its_settings(arms_of):
    [arm, *_] = arms_of()
    arm.run.create()
    arm.run.write_config(OmegaConf.to_container(arm.config, resolve=True))
    arm.run.write_status("finished")
    assert len(arms_of()) == 3
    with pytest.raises(UserErrors) as caught:
        arms_of("study.arms.full_batch.optimizer.lr=0.2")
    assert "finished with other settings" in str(caught.value)
    arm.run.write_status("failed")
    assert len(arms_of("study.arms.full_batch.optimizer.lr=0.2")) == 3


def test_a_name_that_names_no_folder(tmp_path):
    cfg = compose("train", ["+experiment=descent", "quick=true"]).copy()
    data = build_data(cfg)
    study = SimpleNamespace(arms={"../x": {}}, needs_callbacks=())
    with pytest.raises(UserErrors) as caught:
        make_arms(cfg, study, RunFolder(tmp_path, "s"), data)
    assert "names a folder" in str(caught.value)

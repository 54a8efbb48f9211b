"""The file for W&B's agents: what an agent makes of it, `train` takes."""

import re

import pytest
import yaml
from wandb.apis.public.sweeps import _validate_config_and_fill_distribution
from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args, load_sweep_config

from mmdl.__main__ import dispatch
from mmdl.sweeps.command import taken_apart
from mmdl.sweeps.grid import GridSweep
from mmdl.sweeps.record import Sweep
from mmdl.sweeps.space import dimension
from mmdl.sweeps.wandb_config import write_wandb_sweep

TAKEN = {  # distribution -> its keys, as in the schema of W&B's sweeps package
    None: {"values"},
    "uniform": {"min", "max"},
    "int_uniform": {"min", "max"},
    "log_uniform_values": {"min", "max"},
    "q_log_uniform_values": {"min", "max", "q"},
}


def written(sweeps):
    return load_sweep_config(str(sweeps.root / "sweeps" / "lr" / "wandb_sweep.yaml"))


def agents_command(config, **values):
    """The words that W&B's agent runs, by its own functions; the environment and the interpreter left out."""
    arguments = create_sweep_command_args({"args": {name: {"value": v} for name, v in values.items()}})
    found = []
    for word in create_sweep_command(list(config["command"])):
        if word in ("${env}", "${interpreter}"):
            continue
        macro = re.fullmatch(r"\$\{(\w+)\}", word)
        found += arguments[macro[1]] if macro else [word]
    return found


def check_shape(config):
    """What the schema of W&B asks for."""
    assert config["method"] in ("grid", "random", "bayes")
    assert config["metric"].keys() == {"name", "goal"}
    known = {"name", "program", "method", "metric", "parameters", "command", "run_cap", "early_terminate"}
    assert config.keys() <= known
    for name, parameter in config["parameters"].items():
        assert re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*", name)
        distribution = parameter.get("distribution")
        assert parameter.keys() - {"distribution"} == TAKEN[distribution]
        if "min" in parameter:
            whole = distribution in ("int_uniform", "q_log_uniform_values")
            assert all(isinstance(parameter[end], int if whole else float) for end in ("min", "max"))
    assert _validate_config_and_fill_distribution(config) == config


def composed(words, capsys):
    capsys.readouterr()
    assert words[:3] == ["-m", "mmdl", "train"]
    assert dispatch([*words[2:], "--cfg", "job", "--resolve"]) == 0
    return yaml.safe_load(capsys.readouterr().out)


def test_an_agent_trains_the_grid(sweeps, capsys):
    values = "optimizer.lr=1e-3,0.00001", "optimizer.betas=[0.9,0.99],[0.9,0.999]", "model=cnn,resnet"
    assert sweeps.here(*values, "trainer.deterministic=null,true", "+experiment=mnist", base=(
        "data=digits", "sweep.name=lr", "logger=none", "trainer.max_epochs=3"
    )) == 0  # fmt: skip
    config = written(sweeps)
    check_shape(config)
    assert config["method"] == "grid"
    assert config["metric"] == {"name": "val/accuracy", "goal": "maximize"}
    assert config["parameters"]["optimizer.lr"] == {"values": [0.001, 1e-05]}
    chosen = {name: parameter["values"][-1] for name, parameter in config["parameters"].items()}
    found = composed(agents_command(config, **chosen), capsys)
    assert found["optimizer"]["lr"] == 1e-5
    assert found["optimizer"]["betas"] == [0.9, 0.999]
    assert found["model"]["_target_"].endswith("ResNet")
    assert found["trainer"]["deterministic"] is True
    assert found["trainer"]["max_epochs"] == 3
    assert (found["logger"]["wandb"]["group"], found["logger"]["wandb"]["job_type"]) == ("lr", "sweep-trial")
    chosen["trainer.deterministic"] = config["parameters"]["trainer.deterministic"]["values"][0]
    assert composed(agents_command(config, **chosen), capsys)["trainer"]["deterministic"] is None


def test_an_agent_searches_as_the_study_does(sweeps, capsys):
    assert sweeps.here(
        "sweep=optuna", "sweep.n_trials=3", "sweep.pruner=median", "sweep.prune_after=2",
        "optimizer.lr=tag(log,interval(1e-4,1e-2))", "optimizer.weight_decay=interval(0,0.1)",
        "data.batch_size=int(tag(log,interval(8,64)))", "trainer.max_epochs=int(interval(1,3))",
        "task.label_smoothing=range(0.0,0.3,0.1)",
    ) == 0  # fmt: skip
    config = written(sweeps)
    check_shape(config)
    assert config["method"] == "bayes"
    assert config["run_cap"] == 3
    assert config["early_terminate"] == {"type": "hyperband", "min_iter": 2}
    parameters = config["parameters"]
    assert parameters["optimizer.lr"] == {"min": 1e-4, "max": 1e-2, "distribution": "log_uniform_values"}
    assert parameters["optimizer.weight_decay"] == {"min": 0.0, "max": 0.1, "distribution": "uniform"}
    assert parameters["trainer.max_epochs"] == {"min": 1, "max": 3, "distribution": "int_uniform"}
    assert parameters["data.batch_size"]["distribution"] == "q_log_uniform_values"
    assert parameters["task.label_smoothing"] == {"values": [0.0, 0.1, 0.2]}
    words = agents_command(config, **{"optimizer.lr": 3.1e-05, "data.batch_size": 8, "trainer.max_epochs": 2})
    found = composed(words, capsys)
    assert found["optimizer"]["lr"] == 3.1e-05
    assert found["data"]["batch_size"] == 8


@pytest.mark.slow
def test_experiments_are_swept_without_a_plus(sweeps, capsys):
    base = ("sweep.name=lr", "logger=none")
    assert sweeps.here("+experiment=mnist,cifar10", "data=digits", base=base) == 0
    config = written(sweeps)
    check_shape(config)
    assert config["parameters"] == {"experiment": {"values": ["mnist", "cifar10"]}}
    assert composed(agents_command(config, experiment="cifar10"), capsys)["name"] == "cifar10"
    base = ("logger=none", "+experiment=vqa", "sweep.name=fusion")
    assert sweeps.here("model/fusion=film,hadamard", "--dry-run", base=base) == 0


def test_nested_groups_are_named_with_dots_and_what_has_no_name_for_wandb_is_said(tmp_path, capsys):
    sweep = Sweep(tmp_path, "lr", "grid", "val/vqa_accuracy", "max", {}, [], "")
    command = taken_apart(["+experiment=vqa", "logger=none"])
    space = [dimension("model/fusion=film,hadamard")]
    write_wandb_sweep(sweep, GridSweep(), command, space)
    config = load_sweep_config(str(tmp_path / "wandb_sweep.yaml"))
    check_shape(config)
    found = composed(agents_command(config, **{"model.fusion": "hadamard"}), capsys)
    assert found["model"]["fusion"]["_target_"].endswith("Hadamard")
    line = write_wandb_sweep(sweep, GridSweep(), command, [*space, dimension("+a@b.c=x,y")])
    assert "W&B takes no parameter named a@b.c" in line
    assert not (tmp_path / "wandb_sweep.yaml").exists()


@pytest.mark.slow
def test_runs_of_a_sweep_are_one_group_of_the_tracker(sweeps):
    assert (
        sweeps.here(
            "seed=0,1", "logger=[csv,wandb]", base=("+experiment=mnist", "data=digits", "sweep.name=lr")
        )
        == 0
    )
    for start in sweeps.starts:
        assert {"logger.wandb.group=lr", "logger.wandb.job_type=sweep-trial"} <= set(start["words"])


@pytest.mark.slow
def test_a_group_that_was_given_stays(sweeps):
    words = ("seed=0,1", "logger=wandb", "logger.wandb.group=mine")
    assert sweeps.here(*words, base=("+experiment=mnist", "data=digits", "sweep.name=lr")) == 0
    assert [w for w in sweeps.starts[0]["words"] if "group" in w] == ["logger.wandb.group=mine"]

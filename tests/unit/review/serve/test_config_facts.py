"""The facts of a configuration that the list shows are those that YAML itself gives."""

import pytest
import yaml

from mmdl.review.serve.config_facts import ConfigFacts, config_facts

CONFIG = {
    "name": "vqa",
    "seed": 3,
    "monitor": {"name": "val/vqa_accuracy", "mode": "max"},
    "data": {
        "tokenizer": {"_target_": "mmdl.data.tokenizer.word.WordTokenizer"},
        "_target_": "mmdl.data.shapes_vqa.shapes_vqa",
    },
    "model": {"_target_": "mmdl.models.vqa.VQAModel", "name": "not this"},
    "task": {"_target_": "mmdl.tasks.vqa.VQATask"},
    "trainer": {"max_epochs": 12, "max_steps": -1},
    "logger": {
        "wandb": {"_target_": "mmdl.runs.wandb_logger.wandb_logger", "tags": ["paper", "seed: 3", "1"]}
    },
}


def text(config):
    return yaml.safe_dump(config, sort_keys=False)


def test_all_facts():
    assert config_facts(text(CONFIG)) == ConfigFacts(
        name="vqa",
        seed=3,
        monitor="val/vqa_accuracy",
        mode="max",
        data="shapes_vqa",
        model="vqa",
        task="vqa",
        tags=("paper", "seed: 3", "1"),
        max_steps=None,
        max_epochs=12,
    )


@pytest.mark.parametrize(
    "name",
    ["with: colon", "'quoted'", "123", "true", "null", "<script>alert(1)</script>", "ü", "# no comment"],
)
def test_a_name_that_yaml_quotes(name):
    assert config_facts(text(CONFIG | {"name": name})).name == name.replace("null", "")


def test_what_is_not_set():
    found = config_facts(
        text({"name": "x", "seed": None, "monitor": {"name": None}, "logger": {}, "trainer": {}})
    )
    assert found == ConfigFacts(name="x")


def test_a_value_that_looks_like_a_key_at_the_left_is_not_one():
    found = config_facts(text(CONFIG | {"note": "first line\nseed: 99\nname: other\n"}))
    assert (found.seed, found.name) == (3, "vqa")


@pytest.mark.parametrize(
    "damaged",
    [
        "",
        "\0\0\0\0",
        "name: vqa\nse",
        "}{ nothing\n",
        "name: vqa\n\tx\n",
        text(CONFIG)[:150],
        "\ufffd\ufffd\n",
    ],
)
def test_what_is_damaged_says_so(damaged):
    assert config_facts(damaged).damaged

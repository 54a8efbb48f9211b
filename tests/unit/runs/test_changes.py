import pytest
from omegaconf import OmegaConf

from mmdl.runs.changes import SAME_MATHEMATICS, SAME_RESULTS, Change, apply, changes, presets_of

SAVED = {
    "seed": 0,
    "data": {"_target_": "a", "batch_size": 16, "num_classes": 10, "augment": {"flip": {"probability": 0.5}}},
    "optimizer": {"_target_": "o", "name": "AdamW", "lr": 0.001, "betas": [0.9, 0.999]},
    "model": {"num_classes": 10, "fusion": {"_target_": "film"}},
    "callbacks": {"ema": {"decay": 0.9}, "checkpoints": {"keep": 2}},
}


def compared(overrides, **composed):
    saved = OmegaConf.create(SAVED)
    cfg = OmegaConf.merge(OmegaConf.create(SAVED), OmegaConf.create(composed))
    return saved, cfg, [str(change) for change in changes(saved, cfg, overrides)]


def test_what_is_given_again_is_no_change():
    _, _, found = compared(["seed=0", "data.batch_size=16", "+experiment=x", "logger=csv", "run.id=b"])
    assert found == []


def test_a_value_a_key_that_is_new_and_one_of_a_nested_group():
    _, _, found = compared(
        ["seed=3", "+optimizer.eps=1e-6", "model/fusion=concat"],
        seed=3,
        optimizer={"eps": 1e-6},
        model={"fusion": {"_target_": "concat"}},
    )
    assert found == [
        "model.fusion._target_: film -> concat",
        "optimizer.eps: nothing -> 1e-06",
        "seed: 0 -> 3",
    ]


def test_what_the_data_filled_in_is_no_change_of_a_group_that_is_named_again():
    _, _, found = compared(["data=a"], data={"num_classes": None})
    assert found == []
    _, _, found = compared(["data.num_classes=null"], data={"num_classes": None})
    assert found == ["data.num_classes: 10 -> None"]


def test_a_group_with_a_place_of_its_own():
    saved = OmegaConf.create(SAVED)
    cfg = OmegaConf.create({**SAVED, "data": {**SAVED["data"], "augment": {}}})
    found = changes(saved, cfg, ["augment@data.augment=[]"])
    assert [str(c) for c in found] == ["data.augment.flip: {'probability': 0.5} -> nothing"]
    cfg.data.augment = {"crop": {"padding": 4}}
    found = changes(saved, cfg, ["augment@data.augment=[crop]"])
    assert "data.augment.crop" in [c.key for c in found]


def test_a_part_that_is_taken_away():
    saved = OmegaConf.create(SAVED)
    cfg = OmegaConf.create({**SAVED, "callbacks": {"checkpoints": {"keep": 2}}})
    assert [str(c) for c in changes(saved, cfg, ["~callbacks.ema"])] == [
        "callbacks.ema: {'decay': 0.9} -> nothing"
    ]
    apply(saved, cfg, ["~callbacks.ema"])
    assert saved.callbacks == {"checkpoints": {"keep": 2}}


def test_changes_are_taken_over_whole():
    saved, cfg, _ = compared([], seed=2)
    cfg.optimizer = {"_target_": "o", "name": "SGD", "lr": "${seed}"}
    apply(saved, cfg, ["optimizer=sgd", "seed=2", "run.id=other"])
    assert OmegaConf.to_container(saved.optimizer, resolve=True) == {"_target_": "o", "name": "SGD", "lr": 2}
    assert "run" not in saved


def test_a_batch_size_that_was_found_stays():
    saved = OmegaConf.create({**SAVED, "find_batch_size": True})
    cfg = OmegaConf.create({**SAVED, "data": {**SAVED["data"], "batch_size": 64, "num_classes": None}})
    assert changes(saved, cfg, ["data=a"]) == []
    apply(saved, cfg, ["data=a"])
    assert saved.data == SAVED["data"]
    apply(saved, cfg, ["data.batch_size=64"])
    assert saved.data.batch_size == 64


def test_presets_of_a_command_line():
    assert presets_of(["+experiment=vqa", "+debug=overfit", "seed=1"]) == {
        "experiment": "vqa",
        "debug": "overfit",
    }


@pytest.mark.parametrize(
    "key", ["seed", "data.augment.flip", "optimizer.lr", "trainer.precision", "trainer.max_epochs"]
)
def test_what_is_computed_may_not_change(key):
    assert not Change(key, 1, 2).matches((*SAME_RESULTS, *SAME_MATHEMATICS))


def test_where_it_is_computed_may_change():
    keys = ("trainer.devices", "trainer.num_nodes", "strategy.static_graph", "data.num_workers")
    assert all(Change(key, 1, 2).matches((*SAME_RESULTS, *SAME_MATHEMATICS)) for key in keys)

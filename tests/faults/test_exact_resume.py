"""A run that was killed and continued ends with the bits of one that was not: every data set, task and position."""

import importlib

import pytest

from mmdl.batch import ImageBatch, ImageTextBatch, VQABatch
from mmdl.cli.catalog import catalog

SHARED = (
    "train",
    "quick=true",
    "logger=none",
    "run.id=r",
    "trainer.max_epochs=2",
    "trainer.log_every_n_steps=3",
)
SMALL = ("data.limit_train=96", "data.batch_size=16", "data.eval_batch_size=100")
IMAGES = (*SHARED, "+experiment=mnist", "evaluator=[classification]", "model.channels=[4,8]")
CAPTIONS = (*SHARED, "+experiment=clip", "evaluator=[retrieval]", "callbacks=[default]", "data.batch_size=8")
QUESTIONS = (*SHARED, "+experiment=vqa", "evaluator=[vqa_accuracy]", "data.batch_size=24")
DIGITS = (*IMAGES, "data=digits", *SMALL)
SHAPES = (*QUESTIONS, "data.scenes_train=15", "data.eval_batch_size=50")
PAIRS = (*CAPTIONS, "data.scenes_train=32")
INSIDE = {"at": "batch", "epoch": 1, "batch": 1}
"""In the second epoch, after a batch of it."""


def produces(name):
    """The type of a data set's batches, from its builder's annotation."""
    module = importlib.import_module(f"mmdl.data.{name}")
    kinds = {"ImageDataModule": ImageBatch, "CaptionDataModule": ImageTextBatch, "VQADataModule": VQABatch}
    return kinds[str(getattr(module, name).__annotations__["return"])]


def of_fixture(name, folder):
    """Words that train on a data set's own fixture, a few batches an epoch."""
    module = importlib.import_module(f"mmdl.data.{name}")
    fixture = [f"{key}={value}" for key, value in module.write_fixture(folder).items()]
    base = {ImageBatch: (*IMAGES, "data.batch_size=16"), ImageTextBatch: CAPTIONS, VQABatch: QUESTIONS}
    return (*base[produces(name)], f"data={name}", *fixture)


@pytest.fixture(scope="module")
def fixture_words(tmp_path_factory):
    """The words for the fixture of a data set, which is written once."""
    made = {}

    def words(name):
        if name not in made:
            made[name] = of_fixture(name, tmp_path_factory.mktemp(name))
        return made[name]

    return words


QUICK_DATA = ("imagefolder", "webdataset")


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n in QUICK_DATA else pytest.mark.slow) for n in catalog("data")]
)
def test_every_data_set(name, exactness, fixture_words):
    exactness.check(fixture_words(name), INSIDE)


TIERS = {
    "images: files decoded as they are needed": (
        "imagefolder",
        ("data.cache_pixels=false", "data.num_workers=1"),
    ),
    "images: mixup and cutmix": (
        "imagefolder",
        ("augment@data.augment=[flip,crop,mixup,cutmix]", "data.augment.cutmix.probability=0.5"),
    ),
    "images: many augmentations, growing": (
        "imagefolder",
        (
            "augment@data.augment=[resized_crop,color_jitter,randaugment,elastic,affine,cutout,progressive_resize]",
            "model.global_pooling=true",
        ),
    ),
    "images: dropout": ("digits", (*SMALL, "model.dropout=0.5")),
    "images: ResNet": ("cifar10", ("model=resnet", "model.width=4")),
    "images: hub, files": ("hub", ("data.cache_pixels=false",)),
    "questions: ungrouped": ("shapes_vqa", ("data.group_by_image=false",)),
    "questions: files": ("vqa_json", ("data.cache_pixels=false", "data.num_workers=1")),
    "questions: dropout": ("shapes_vqa", ("model.dropout=0.5", "model.fusion.question_to_head=true")),
    "questions: frozen tower, cached": ("shapes_vqa", ("task.freeze=[image_tower*]",)),
    "captions: one": ("shapes_captions", ("data.captions_per_image=1",)),
    "captions: all": (
        "shapes_captions",
        ("data.captions_per_image=null", "augment@data.augment=[flip,crop]"),
    ),
    "captions: micro-batches": ("shapes_captions", ("task.micro_batch=4",)),
    "captions: SigLIP": (
        "shapes_captions",
        ("task.loss=siglip", "model.init_scale=10", "model.init_bias=-10"),
    ),
    "captions: frozen tower, cached": ("shapes_captions", ("task.freeze=[image_tower*]",)),
    "captions: files": ("image_text", ("data.cache_pixels=false", "data.num_workers=1")),
    "captions: diagnosis": (
        "shapes_captions",
        ("callbacks=[default,contrastive_diagnosis,evaluation_pictures]",),
    ),
    "captions: shards, workers": ("webdataset", ("data.num_workers=2", "augment@data.augment=[flip,crop]")),
}
QUICK_TIERS = (
    "images: many augmentations, growing",
    "captions: micro-batches",
    "questions: frozen tower, cached",
)


def some(cases, quick):
    """Parameters of which all but a few are slow."""
    return [pytest.param(name, marks=[] if name in quick else pytest.mark.slow) for name in cases]


@pytest.mark.parametrize("tier", some(TIERS, QUICK_TIERS))
def test_every_tier(tier, exactness, fixture_words):
    name, further = TIERS[tier]
    words = fixture_words(name)
    if "model=resnet" in further:
        words = tuple(word for word in words if not word.startswith("model."))  # they are of the plain CNN
    exactness.check((*words, *further), INSIDE)


@pytest.mark.parametrize("captions", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_real_photographs(captions, exactness, real_data):
    coco = real_data / "coco"
    words = (*CAPTIONS, "data=coco_captions") if captions else (*QUESTIONS, "data=vqa_v2")
    exactness.check((*words, f"data.root={coco}"), INSIDE)


# An epoch of SHAPES has five batches of 24 questions and one of 15; its validation three.
POSITIONS = {
    "first batch": {"at": "batch", "epoch": 0, "batch": 0},
    "first epoch": {"at": "batch", "epoch": 0, "batch": 2},
    "last batch": {"at": "batch", "epoch": 0, "batch": 5},
    "between epochs": {"at": "batch", "epoch": 1, "batch": 0},
    "second epoch": {"at": "batch", "epoch": 1, "batch": 5},
    "in the validation": {"at": "validation", "epoch": 0, "skip": 1},
    "in the last validation": {"at": "validation", "epoch": 1, "skip": 1},
    "after the figures": {"at": "figures", "epoch": 0},
    "after the validation": {"at": "validated", "epoch": 0},
    "after the last validation": {"at": "validated", "epoch": 1},
    "after an epoch": {"at": "saved", "epoch": 0},
    "after the last epoch": {"at": "saved", "epoch": 1},
    "before the test": {"at": "test"},
}
KINDS = {
    "plain": SHAPES,
    "accumulating": (*SHAPES, "trainer.accumulate_grad_batches=4"),
    "validating inside": (*SHAPES, "trainer.val_check_interval=2"),
    "with averaged weights": (*SHAPES, "callbacks=[default,ema]", "callbacks.ema.decay=0.8"),
}
QUICK_POSITIONS = (("last batch", "accumulating"), ("second epoch", "validating inside"))


@pytest.mark.parametrize(
    ("position", "kind"),
    [
        pytest.param(p, k, marks=[] if (p, k) in QUICK_POSITIONS else pytest.mark.slow)
        for p in POSITIONS
        for k in KINDS
    ],
)
def test_every_position(position, kind, exactness):
    exactness.check(KINDS[kind], position, POSITIONS)


@pytest.mark.slow
@pytest.mark.parametrize("every", [1, 5])
@pytest.mark.parametrize("position", ["in the validation", "second epoch", "after the validation"])
def test_validations_inside_epochs_and_several_ways_of_saving(every, position, exactness):
    saving = (f"callbacks.checkpoints.every_steps={every}", "callbacks.checkpoints.keep=3")
    exactness.check(KINDS["validating inside"], position, POSITIONS, saving)


@pytest.mark.parametrize("first", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_killed_twice_and_continued_with_other_loader_workers(first, exactness, tmp_path):
    places = ({"at": "batch", "epoch": 0, "batch": 3}, {"at": "batch", "epoch": 1, "batch": 3})
    words = (*SHAPES, "data.cache_pixels=false", f"data.num_workers={first}")
    done = exactness.check_killed(tmp_path, words, *places, then=(f"data.num_workers={2 - first}",))
    assert f"data.num_workers: {first} -> {2 - first}" not in done.stderr  # the second start had it already


CALLBACKS = {
    "SWA": ("callbacks=[default,swa]", "callbacks.swa.start=0.3", "trainer.max_epochs=3"),
    "SWA with batch norm": (
        "+experiment=mnist",
        "data=digits",
        *SMALL,
        "evaluator=[classification]",
        "callbacks=[default,swa]",
        "callbacks.swa.start=0.3",
        "trainer.max_epochs=3",
    ),
    "late EMA": ("callbacks=[default,ema]", "callbacks.ema.update_starting_at_step=9"),
    "EMA now and then": ("callbacks=[default,ema]", "callbacks.ema.update_every_n_steps=3"),
    "early stopping": (
        "callbacks=[default,early_stopping]",
        "callbacks.early_stopping.patience=1",
        "callbacks.early_stopping.min_delta=1.0",
        "trainer.max_epochs=5",
    ),
    "early stopping inside an epoch": (
        "callbacks=[default,early_stopping]",
        "callbacks.early_stopping.patience=4",
        "callbacks.early_stopping.min_delta=1.0",
        "trainer.val_check_interval=2",
        "trainer.max_epochs=5",
    ),
    "gradient norms": ("callbacks=[default,gradient_norms]", "callbacks.gradient_norms.every_n_steps=2"),
    "learning curves": (
        "callbacks=[default,learning_curves]",
        "callbacks.learning_curves.score=vqa_accuracy",
    ),
    "a number of steps": ("trainer.max_steps=9",),
    "a number of steps, any epochs": ("trainer.max_steps=15", "trainer.max_epochs=-1"),
    "validations by the second epoch": ("trainer.check_val_every_n_epoch=2",),
    "validations across epochs": ("trainer.check_val_every_n_epoch=null", "trainer.val_check_interval=4"),
    "part of an epoch": ("trainer.limit_train_batches=4",),
    "gradient clipping by value": (
        "+trainer.gradient_clip_algorithm=value",
        "trainer.gradient_clip_val=0.01",
    ),
    "one batch again and again": ("debug=overfit", "trainer.max_epochs=8"),
}


@pytest.mark.parametrize("name", some(CALLBACKS, ()))
def test_callbacks_and_limits(name, exactness):
    base = SHARED if "+experiment=mnist" in CALLBACKS[name] else SHAPES
    one = "debug=overfit" in CALLBACKS[name]  # batch an epoch
    exactness.check((*base, *CALLBACKS[name]), {"at": "batch", "epoch": 5, "batch": 0} if one else INSIDE)


OPTIMIZERS = {name: (f"optimizer={name}",) for name in catalog("optimizer")}
SCHEDULES = {name: (f"schedule={name}",) for name in catalog("schedule")}
RATES = {
    "by layer": ("task.layer_decay=0.7", "task.learning_rate_scale={image_tower*: 0.1}"),
    "one cycle, muon": ("schedule=one_cycle", "optimizer=muon"),
}
LEARNING = {
    **{f"optimizer {name}": words for name, words in OPTIMIZERS.items()},
    **{f"schedule {name}": words for name, words in SCHEDULES.items()},
    **RATES,
}


@pytest.mark.parametrize("name", some(LEARNING, ("one cycle, muon",)))
def test_every_optimizer_and_schedule(name, exactness):
    exactness.check((*SHAPES, *LEARNING[name]), INSIDE)


RANKS = ("trainer.devices=2", "trainer.accelerator=cpu", "data.num_workers=1")


@pytest.mark.slow
@pytest.mark.parametrize("position", ["second epoch", "in the validation", "after the validation"])
@pytest.mark.parametrize("base", ["images", "questions", "captions"])
def test_two_ranks(base, position, exactness, tmp_path):
    words = {"images": DIGITS, "questions": SHAPES, "captions": PAIRS}[base]
    batch = {"images": 8, "questions": 12, "captions": 4}[base]
    evaluated = {"images": 18, "questions": 50, "captions": 4}[base]  # two batches for rank 0 at least
    sizes = (f"data.batch_size={batch}", f"data.eval_batch_size={evaluated}")
    place = POSITIONS[position] | {"batch": 2}
    exactness.check_killed(tmp_path, (*words, *RANKS, *sizes), place, ranks=2)

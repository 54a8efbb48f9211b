"""What counts as a plateau, and which causes a window of figures shows."""

import pytest

from mmdl.callbacks.contrastive_plateau import Reading, find_plateau

HEALTHY = Reading(
    step=0,
    loss=2.0,
    chance=5.545,
    floor=0.0,
    distinct_floor=0.0,
    scale_floor=0.0,
    repeated_captions=0.0,
    scale=30.0,
    at_clamp=False,
    positive=0.6,
    negative=0.1,
    alike=0.2,
    learning_rate=1e-3,
    peak_rate=1e-3,
    gradient=1.0,
    first_gradient=2.0,
    moved={"image_tower": 0.2, "text_tower": 0.3},
    learning=["image tower", "projections", "text tower"],
)
UNINFORMED = {"loss": 5.54, "positive": 0.02, "negative": 0.02}

CLIP = (
    *(
        5.881,
        5.286,
        4.940,
        4.481,
        4.515,
        4.246,
        4.241,
        4.109,
        4.163,
        4.024,
        4.072,
        3.967,
        4.015,
        3.931,
        4.014,
    ),
    *(
        3.836,
        3.954,
        3.828,
        3.893,
        3.769,
        3.836,
        3.712,
        3.770,
        3.689,
        3.733,
        3.654,
        3.717,
        3.575,
        3.692,
        3.562,
    ),
    *(3.603, 3.528, 3.618, 3.523, 3.609, 3.533, 3.560, 3.489, 3.575, 3.453),
)
"""Training loss of a run of +experiment=clip, the mean of each 20 steps: it flattens, since captions repeat."""


def window(losses, **values):
    return [
        HEALTHY._replace(step=20 * (n + 1), loss=loss)._replace(**values) for n, loss in enumerate(losses)
    ]


def flat(**values):
    """Ten readings that are alike."""
    return [HEALTHY._replace(step=20 * (n + 1))._replace(**values) for n in range(10)]


def causes(readings):
    found = find_plateau(readings)
    return None if found is None else [cause.name for cause in found.causes]


def test_a_run_that_learned_has_no_plateau_at_any_time():
    bounds = {"chance": 5.892, "floor": 1.13, "distinct_floor": 0.347, "repeated_captions": 0.48}
    for last in range(10, len(CLIP) + 1):
        assert find_plateau(window(CLIP[last - 10 : last], **bounds)) is None


def test_a_loss_that_converged_is_none():
    assert causes(flat(loss=0.5)) is None
    assert causes(flat(loss=4.0)) is None  # a quarter of the way is done


def test_a_loss_too_noisy_to_tell_is_none():
    assert causes(window([4.9, 5.2, 4.8, 5.2, 4.8, 5.2, 4.8, 5.2, 4.8, 5.2])) is None


def test_a_falling_loss_is_none():
    assert causes(window([5.2 - 0.05 * n for n in range(10)])) is None


def test_flat_without_a_known_cause_is_said_as_such():
    found = find_plateau(flat(loss=4.8))
    assert found is not None
    assert found.causes == []
    assert "none of the known causes is seen" in found.line()
    assert "below the chance level of 5.545" in found.line()


def test_a_loss_far_above_the_chance_level_is_at_it_too():
    wild = window([50, 6, 90, 8, 6, 70, 6, 90, 8, 6], positive=0.02, negative=0.02)
    assert causes(wild) == ["chance level"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (UNINFORMED, ["chance level"]),
        ({"loss": 5.54}, []),  # at the chance level, and the embeddings are informed: nothing explains it
        ({"learning": ["projections"], "loss": 4.9}, ["frozen towers"]),
        ({"learning": ["image tower"], "loss": 4.9}, []),
        ({"learning_rate": 0.0, "peak_rate": 0.0} | UNINFORMED, ["learning rate", "chance level"]),
        ({"learning_rate": 1e-7, "loss": 4.9}, ["learning rate"]),  # a schedule that ended
        ({"moved": {"image_tower": 1e-5, "text_tower": 1e-6}, "loss": 4.9}, ["learning rate"]),
        ({"moved": {"image_tower": 0.1, "text_tower": 1e-6}, "loss": 4.9}, ["learning rate"]),
        (
            {"moved": {"image_tower": 100.0, "text_tower": 0.1}} | UNINFORMED,
            ["learning rate", "chance level"],
        ),
        ({"gradient": 1e4, "loss": 4.9}, ["learning rate"]),
        ({"gradient": 1e-3, "alike": 0.99} | UNINFORMED, ["learning rate", "chance level"]),
        ({"gradient": 1e-3, "alike": 0.2} | UNINFORMED, ["chance level"]),
        ({"floor": 4.5, "repeated_captions": 0.9, "loss": 4.6}, ["repeated captions"]),
        ({"floor": 2.0, "repeated_captions": 0.9, "loss": 4.6}, []),
        ({"floor": 2.0, "repeated_captions": 0.9, "loss": 2.1}, ["repeated captions"]),
        ({"at_clamp": True, "scale_floor": 4.5, "loss": 4.6}, ["temperature at its clamp"]),
        ({"at_clamp": False, "scale_floor": 4.5, "loss": 4.6}, []),
        ({"at_clamp": True, "scale_floor": 0.001, "loss": 4.9}, []),  # a clamp of 100 is no obstacle
        (
            # what captions that repeat make of the embeddings is no fault of the rate
            {"floor": 5.54, "repeated_captions": 1.0, "gradient": 1e-6, "alike": 0.99} | UNINFORMED,
            ["repeated captions", "chance level"],
        ),
    ],
)
def test_which_causes_are_seen(values, expected):
    assert causes(flat(**values)) == expected


def test_a_warm_up_that_never_ends():
    readings = [
        r._replace(learning_rate=1e-8 * n)
        for n, r in enumerate(flat(**UNINFORMED))  # of 1e-3
    ]
    [rate, chance] = find_plateau(readings).causes
    assert "still in its warm-up" in rate.evidence
    assert chance.remedy == "as long as that lasts"


def test_the_end_of_a_schedule_alone_is_no_cause():
    rates = [1e-3 * (1 - n / 10) ** 2 for n in range(1, 11)]
    readings = [r._replace(learning_rate=rate) for rate, r in zip(rates, flat(loss=4.9), strict=True)]
    assert causes(readings) == []


def test_the_line_has_the_figures_and_what_to_change():
    line = find_plateau(flat(floor=4.5, repeated_captions=0.9, loss=4.6)).line()
    assert line.startswith(
        "the training loss does not fall: 4.6 over steps 20 to 200, below the chance level of 5.545;"
    )
    assert "(1) repeated captions: 90% of a batch's captions" in line
    assert "no encoder gets below 4.5" in line
    assert "data.batch_size" in line
    assert "\n" not in line


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_readings_say_nothing(count):
    assert find_plateau(flat(**UNINFORMED)[:count]) is None

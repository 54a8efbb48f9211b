"""USR1, USR2 and TERM at named moments: the continued run ends with the bits of one that was not stopped."""

import itertools
import signal

import pytest

WORDS = (
    *("train", "+experiment=vqa", "quick=true", "logger=none", "evaluator=[vqa_accuracy]", "run.id=r"),
    *("trainer.max_epochs=2", "data.scenes_train=96", "data.eval_batch_size=20", "callbacks=[default,ema]"),
    *("trainer.log_every_n_steps=3", "model.dropout=0.1"),
)
NUMBERS = ("SIGUSR1", "SIGUSR2", "SIGTERM")
MOMENTS = ("start-up", "step", "validation", "epoch end", "test")
REACH = ((0, False), (2, True), (0, True), (2, False))
"""Loader workers, and whether the signal goes to all processes."""

QUICK = [
    (moment, number, *REACH[(3 * row + column) % 4])
    for row, moment in enumerate(MOMENTS)
    for column, number in enumerate(NUMBERS)
]
"""A quarter: each moment with each signal, and each pair of the other two equally often."""

ALL = [(moment, number, *reach) for moment, number, reach in itertools.product(MOMENTS, NUMBERS, REACH)]


@pytest.fixture
def check(stopping, tmp_path):
    def stop_and_continue(moment, number, workers, group):
        skip = int(moment in ("validation", "test"))  # the second batch of it
        stop = {"moment": moment, "number": number, "group": group, "skip": skip, "times": 2}
        stopping.check(tmp_path, WORDS, stop, further=(f"data.num_workers={workers}",))

    return stop_and_continue


@pytest.mark.parametrize(("moment", "number", "workers", "group"), QUICK)
def test_a_stopped_run_ends_with_the_same_bits(check, moment, number, workers, group):
    check(moment, number, workers, group)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("moment", "number", "workers", "group"), [case for case in ALL if case not in QUICK]
)
def test_sixty_cases_in_all(check, moment, number, workers, group):
    check(moment, number, workers, group)


def test_the_cases_and_codes_are_those_that_were_promised(stopping):
    assert (len(ALL), len(QUICK), len(set(ALL))) == (60, 15, 60)
    assert {name: 128 + int(getattr(signal, name)) for name in stopping.codes} == stopping.codes

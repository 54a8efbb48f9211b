from mmdl.runs.activity import FIRST, Activity


def test_medians_leave_out_the_first_rounds_and_pauses(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("mmdl.runs.activity.time.monotonic", lambda: now[0])
    seen = Activity()
    for number, seconds in enumerate((50, 50, 2, 3, 1000, 4)):
        seen.repeat("step", number)
        now[0] += seconds
        if seconds == 1000:
            seen.pause()
    seen.repeat("step", 6)
    assert FIRST == 2
    assert seen.median("step") == 3
    assert seen.median("validation batch") is None
    assert str(seen) == "step 6"
    assert seen.since == now[0]

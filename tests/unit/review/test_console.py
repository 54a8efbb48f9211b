from mmdl.review.building import build_review
from mmdl.review.console import lines
from mmdl.review.model import Difference, Entrant, Review, RunView


def test_the_table_says_what_a_reader_asks_first(tmp_path, folders):
    paths = [folders.vqa(tmp_path, f"s{seed}", 60, seed=seed, images=False) for seed in (0, 1)]
    shown = list(lines(build_review(paths)))
    assert shown[0].split() == ["test/vqa_accuracy", "score", "n", "runs", "state"]
    assert shown[1].split()[:3] == ["vqa", "0.8225", "±"]
    assert shown[1].split()[-3:] == ["60", "2", "finished"]
    assert shown[2].startswith("question-only baseline  0.")
    assert shown[4] == "verdicts"
    assert shown[5].startswith("  vqa (2 seeds) is better than its question-only baseline by 0.")


def test_costs_stand_in_the_table_where_they_are_known():
    entrant = Entrant("a", ["a"], metric="m", values=[0.5], mean=0.5, n=1000)
    entrant.seconds, entrant.samples, entrant.flops = [125.0], [60_000.0], [3.21e14]
    other = Entrant("b", ["b"], metric="m", seconds=[None], samples=[None], flops=[None])
    shown = list(lines(Review([], [entrant, other])))
    assert shown[0].split() == ["m", "score", "n", "runs", "time", "samples", "FLOPs"]
    assert shown[1].split() == ["a", "0.5000", "1,000", "1", "2", "min", "05", "s", "60k", "321T"]
    assert shown[2].split() == ["b", "-", "-", "1", "-", "-", "-"]


def test_keys_are_grouped_by_value():
    values = {f"r{n}": "0.1" if n < 5 else "0.2" for n in range(7)}
    shown = list(
        lines(Review([], differences=[Difference("optimizer.lr", values), Difference("seed", values)]))
    )
    assert shown[-3:] == ["", "differing keys", "  optimizer.lr: 0.1 (5 runs), 0.2 (r5, r6)"]


def test_few_settings_stand_in_the_table():
    entrants = [Entrant(f"lr-{n}", [f"lr-{n}"], metric="m") for n in (1, 2)]
    differences = [Difference("optimizer.lr", {"lr-1": "0.1", "lr-2": "0.2"})]
    shown = list(lines(Review([], entrants, differences=differences)))
    assert [line.split()[-1] for line in shown[:3]] == ["settings", "lr=0.1", "lr=0.2"]
    many = [Difference(f"k{n}", {"lr-1": "1", "lr-2": "2"}) for n in range(4)]
    assert "settings" not in next(lines(Review([], entrants, differences=many)))


def test_text_of_runs_does_not_steer_the_terminal(tmp_path):
    run = RunView(tmp_path, "a", gaps=["\x1b[2Jgone\n", "\u202efdp"])
    shown = list(lines(Review([run], [Entrant("\x1b]0;title\x07", ["a"], metric="m")])))
    assert all(line.isprintable() for line in shown)
    assert "  a: \ufffd[2Jgone\ufffd" in shown


def test_long_reviews_end_with_how_many_more():
    entrants = [Entrant(f"e{n}", [f"e{n}"], metric="m") for n in range(60)]
    shown = list(lines(Review([], entrants, notes=[f"note {n}" for n in range(30)])))
    assert "and 20 more; all are on the page" in shown
    assert shown[-1] == "  and 10 more; all are on the page"

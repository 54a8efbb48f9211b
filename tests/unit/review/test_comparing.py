import json

import numpy as np
import pytest
import yaml
from scipy import stats

from mmdl.review.comparing import ONE_RUN, compare
from mmdl.review.entrants import fold
from mmdl.review.scored import read_scored
from mmdl.review.views import read_runs


def _set(path, lr):
    config = yaml.safe_load((path / "config.yaml").read_text())
    (path / "config.yaml").write_text(yaml.safe_dump(config | {"optimizer": {"lr": lr}}))
    return path


def _compared(*paths):
    first, second = fold(read_runs(paths))
    for one in (first, second):
        one.scored = read_scored(one.views, one.entrant.metric)
    return compare(first, second)


def test_one_run_a_side_is_scipys_paired_bootstrap_over_images(tmp_path, folders):
    paths = [
        folders.vqa(tmp_path, "a", items=600, right=0.7, images=False),
        _set(folders.vqa(tmp_path, "b", items=600, seed=5, images=False), 9),
    ]
    found = _compared(*paths)
    scores = [
        np.array(
            [json.loads(line)["score"] for line in (path / "predictions/test.jsonl").read_text().splitlines()]
        )
        for path in paths
    ]
    images = (scores[0] - scores[1]).reshape(200, 3).mean(1)  # three questions an image
    expected = stats.bootstrap((images,), np.mean, method="percentile", n_resamples=20_000, rng=0, batch=500)
    tolerance = 0.1 * images.std() / 200**0.5
    assert found.ci95 == pytest.approx(tuple(expected.confidence_interval), abs=tolerance)
    assert found.difference == pytest.approx(images.mean())
    assert (found.n, found.clusters) == (600, 200)
    p = stats.permutation_test(
        (images,), np.mean, permutation_type="samples", n_resamples=9999, rng=0, vectorized=True
    ).pvalue
    assert found.tests[0].p == pytest.approx(p, abs=0.03)
    right = [side >= 0.5 for side in scores]
    only = int((right[0] & ~right[1]).sum()), int((~right[0] & right[1]).sum())
    assert found.counts[:2] == only
    assert sum(found.counts) == 600
    assert found.tests[1].p == pytest.approx(stats.binomtest(only[0], sum(only)).pvalue)
    assert found.caveats == [ONE_RUN]


def test_several_seeds_widen_the_interval_by_what_the_seed_makes(tmp_path, folders):
    shares = ((0.70, 0.74, 0.78), (0.55, 0.60, 0.65))
    paths = [
        _set(folders.vqa(tmp_path, f"g{g}s{s}", items=900, right=share, seed=s, images=False), g)
        for g, side in enumerate(shares)
        for s, share in enumerate(side)
    ]
    several = _compared(*paths)
    single = _compared(paths[1], paths[4])
    assert several.tests[0].name == "t test over seeds and items"
    width = several.ci95[1] - several.ci95[0]
    means = [
        np.mean(
            [json.loads(line)["score"] for line in (path / "predictions/test.jsonl").read_text().splitlines()]
        )
        for path in paths
    ]
    welch = stats.ttest_ind(means[:3], means[3:], equal_var=False).confidence_interval(0.95)
    assert width > 0.9 * (welch.high - welch.low)
    assert width > single.ci95[1] - single.ci95[0]
    assert several.difference == pytest.approx(np.mean(means[:3]) - np.mean(means[3:]))
    assert several.caveats[0].startswith("seeds make most of the width of this interval (standard error 0.0")


def test_one_run_beside_several_says_what_is_assumed(tmp_path, folders):
    paths = [folders.vqa(tmp_path, f"s{seed}", items=90, seed=seed, images=False) for seed in (0, 1)]
    paths.append(_set(folders.vqa(tmp_path, "b", items=90, images=False), 9))
    assert _compared(*paths).caveats == ["b is one run: its seeds are taken to vary as those of the other do"]


def test_other_items_are_refused_by_name(tmp_path, folders):
    found = _compared(
        folders.vqa(tmp_path, "a", items=6, images=False),
        _set(folders.vqa(tmp_path, "b", items=9, images=False), 9),
    )
    assert found.refused == "of 9 test items 3 only in b (1006, 1007, 1008)"
    assert (found.difference, found.ci95, found.tests, found.values) == (None, None, [], None)


def test_items_without_a_reference_are_left_out(tmp_path, folders):
    paths = [
        folders.classification(tmp_path, "a", items=50),
        _set(folders.classification(tmp_path, "b", items=50), 9),
    ]
    for path in paths:
        file = path / "predictions" / "test.jsonl"
        records = [json.loads(line) for line in file.read_text().splitlines()]
        records[3] |= {"label": None, "correct": None}
        file.write_text("".join(json.dumps(record) + "\n" for record in records))
    assert _compared(*paths).n == 49


def test_another_name_alone_is_said(tmp_path, folders):
    paths = [folders.vqa(tmp_path, name, items=30, seed=n, images=False) for n, name in enumerate("ab")]
    config = yaml.safe_load((paths[1] / "config.yaml").read_text())
    (paths[1] / "config.yaml").write_text(yaml.safe_dump(config | {"name": "mine"}))
    assert (
        _compared(*paths)
        .caveats[-1]
        .startswith("their configurations differ in nothing but the name and the seed")
    )


def test_retrieval_is_compared_query_by_query(tmp_path, folders):
    found = _compared(
        folders.retrieval(tmp_path, "a", right=0.9), _set(folders.retrieval(tmp_path, "b", right=0.2), 9)
    )
    assert (found.metric, found.n, found.clusters) == ("test/text_to_image/recall@1", 24, 12)
    assert found.difference > 0


def test_a_figure_that_is_no_mean_over_items_is_said(tmp_path, folders):
    paths = [
        folders.vqa(tmp_path, "a", items=30, images=False),
        _set(folders.vqa(tmp_path, "b", items=30, images=False), 9),
    ]
    for path in paths:
        status = json.loads((path / "status.json").read_text()) | {"monitor": "val/loss"}
        (path / "status.json").write_text(json.dumps(status))
    found = _compared(*paths)
    assert found.metric == "test/vqa_accuracy"
    assert "test/loss is no mean over items: they are compared by test/vqa_accuracy" in found.caveats

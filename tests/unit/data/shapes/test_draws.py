from collections import Counter

from mmdl.data.shapes.draws import Draws


def test_streams_depend_on_their_key_only():
    assert [Draws(3, 1).below(1000) for _ in range(2)] == [Draws(3, 1).below(1000)] * 2
    assert [Draws(3, 1).below(2**40), Draws(3, 2).below(2**40)] != [Draws(3, 2).below(2**40)] * 2


def test_draws_are_even():
    draws = Draws(0)
    counts = Counter(draws.below(5) for _ in range(10_000))
    assert set(counts) == set(range(5))
    assert all(1850 < number < 2150 for number in counts.values())
    assert 2350 < sum(draws.chance(25) for _ in range(10_000)) < 2650


def test_samples_have_no_repeats():
    draws = Draws(0)
    firsts = Counter()
    for _ in range(3000):
        sample = draws.sample("abc", 2)
        assert len(set(sample)) == 2
        firsts[sample[0]] += 1
    assert all(900 < firsts[letter] < 1100 for letter in "abc")

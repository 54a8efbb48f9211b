from collections import Counter, defaultdict

import pytest

from mmdl.data.shapes.balance import Balancer, language_prior, soft_score
from mmdl.data.shapes.draws import Draws
from mmdl.data.shapes.scene import Scene, SceneObject, sample_scene


def test_language_alone_fails(shapes):
    _, read = shapes
    files = [
        read(f"annotations/{kind}_{split}.json")
        for split in ("train", "test")
        for kind in ("questions", "annotations")
    ]
    prior = language_prior(*files)
    print({key: round(value, 3) for key, value in prior.items()})
    assert prior["overall"] <= 0.45
    assert prior["yes/no"] <= 0.60
    assert prior["number"] <= 0.40
    assert prior["other"] <= 0.30


def test_answers_to_one_text_are_even():
    draws, balancer = Draws(3), Balancer(Draws(4))
    answers = defaultdict(Counter)
    for _ in range(2000):
        for question in balancer.choose(sample_scene(draws, 2, 5), 9):
            answers[question.template.name, question.text][question.answer] += 1
    common = {key: found for key, found in answers.items() if found.total() >= 30}
    assert len(common) > 90
    for (name, text), found in common.items():
        if set(found) <= {"yes", "no"}:
            # three deviations of a fair coin, or 15% where there are enough
            assert abs(found["yes"] - found["no"]) <= max(0.15 * found.total(), 3 * found.total() ** 0.5), (
                text
            )
        elif name in {"color_of_shape", "color_of_outermost"}:
            assert found.most_common(1)[0][1] <= 0.20 * found.total(), (text, found)
        elif name in {"shape_of_color", "shape_of_outermost"}:
            assert found.most_common(1)[0][1] <= 0.42 * found.total(), (text, found)
        else:
            assert found.most_common(1)[0][1] <= 0.55 * found.total(), (text, found)


def test_a_poor_scene_gets_fewer_questions_and_none_twice():
    scene = Scene((SceneObject("triangle", "red", "small", "solid", 200, 200, 44),))
    questions = Balancer(Draws(0)).choose(scene, 1000)
    texts = [question.text for question in questions]
    assert len(texts) == len(set(texts))
    assert 60 < len(texts) < 200


@pytest.mark.parametrize(("agreeing", "score"), [(0, 0.0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1.0), (10, 1.0)])
def test_soft_score_follows_the_official_formula(agreeing, score):
    assert soft_score("red", ["red"] * agreeing + ["blue"] * (10 - agreeing)) == pytest.approx(
        score, abs=1e-12
    )


def test_language_prior_of_a_hand_made_set():
    def split(answers):
        questions = [
            {"question_id": n, "question": "Is it?" if n < 4 else "New?"} for n in range(len(answers))
        ]
        annotations = [
            {
                "question_id": n,
                "question_type": "is",
                "answer_type": "yes/no",
                "answers": [{"answer": a}] * 10,
            }
            for n, a in enumerate(answers)
        ]
        return {"questions": questions}, {"annotations": annotations}

    prior = language_prior(*split(["yes", "yes", "yes", "no"]), *split(["yes", "no", "no", "no", "yes"]))
    assert prior == {"overall": 0.4, "yes/no": 0.4, "is": 0.4, "seen": 0.8}

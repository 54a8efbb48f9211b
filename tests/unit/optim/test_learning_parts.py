import pytest
from torch import nn

from mmdl.models.features import LayerGroup
from mmdl.optim.groups import freeze
from mmdl.optim.learning_parts import frozen_towers, learning_parts


class Towers(nn.Module):
    names = (
        "image_tower.stem",
        "image_tower.projection",
        "text_tower.words",
        "text_tower.projection",
        "logit_scale",
    )

    def __init__(self):
        super().__init__()
        self.parts = nn.ModuleList([nn.Linear(2, 2) for _ in self.names])

    def layer_groups(self):
        return [LayerGroup(name, [part]) for name, part in zip(self.names, self.parts, strict=True)]


@pytest.mark.parametrize(
    ("patterns", "learning", "said"),
    [
        ([], ["image tower", "projections", "text tower"], None),
        (["image_tower*"], ["projections", "text tower"], None),
        (["*.stem", "*.words"], ["projections"], "only the projections learn"),
        (["image_tower*", "text_tower*"], [], "not even a projection learns"),
    ],
)
def test_what_learns(patterns, learning, said):
    model = Towers()
    freeze(model, patterns)
    assert learning_parts(model) == learning
    found = frozen_towers(learning)
    assert found is None if said is None else found.endswith(said)

import json

import pytest

from mmdl.data.shapes import generate_shapes


@pytest.fixture(scope="session")
def shapes(tmp_path_factory):
    """A small data set on disk, and a function that reads one of its JSON files."""
    root = tmp_path_factory.mktemp("shapes") / "data"
    generate_shapes(root, train=600, val=20, test=120, progress=False)

    def read(name):
        return json.loads((root / name).read_text())

    return root, read

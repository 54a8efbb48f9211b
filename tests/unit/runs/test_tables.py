"""Tables as files."""

import numpy as np

from mmdl.runs.tables import write_csv


def test_cells(tmp_path):
    rows = [["a, b", 1, 0.12345678], ['say "hi"', np.int64(2), np.float64(np.nan)]]
    path = write_csv(tmp_path / "new" / "table.csv", ["name", "n", "share"], rows)
    assert path.read_text() == 'name,n,share\n"a, b",1,0.123457\n"say ""hi""",2,\n'

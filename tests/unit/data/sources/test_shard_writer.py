import json
import tarfile

from mmdl.data.sources.shard_writer import write_shards


def test_shards_and_their_sizes(tmp_path):
    samples = [{"jpg": b"image", "txt": str(number).encode()} for number in range(5)]
    paths = write_shards(tmp_path, samples, 2, "train")
    write_shards(tmp_path, samples[:1], 2, "val")
    assert [path.name for path in paths] == ["train-000000.tar", "train-000001.tar", "train-000002.tar"]
    sizes = json.loads((tmp_path / "sizes.json").read_text())
    assert sizes == {
        "train-000000.tar": 2,
        "train-000001.tar": 2,
        "train-000002.tar": 1,
        "val-000000.tar": 1,
    }
    with tarfile.open(paths[1]) as tar:
        assert tar.getnames() == ["0000010000.jpg", "0000010000.txt", "0000010001.jpg", "0000010001.txt"]

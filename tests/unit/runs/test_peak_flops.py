import pytest
import torch

from mmdl.runs.peak_flops import compute_kind, peak_flops, peak_of_gpu


@pytest.mark.parametrize(
    ("name", "kind", "tera"),
    [
        ("NVIDIA H100 80GB HBM3", "bf16", 989.4),
        ("NVIDIA H100 80GB HBM3", "fp32", 66.9),
        ("NVIDIA H100 80GB HBM3", "tf32", 494.7),
        ("NVIDIA H200", "bf16", 989.4),
        ("NVIDIA H100 NVL", "bf16", 835.5),
        ("NVIDIA H100 PCIe", "bf16", 756),
        ("NVIDIA GH200 480GB", "bf16", 989.4),
        ("NVIDIA GB200", "bf16", 2500),
        ("NVIDIA B200", "bf16", 2250),
        ("NVIDIA A100-SXM4-80GB", "bf16", 312),
        ("NVIDIA L4", "bf16", 121),
        ("NVIDIA L40S", "bf16", 362),
        ("NVIDIA L40", "bf16", 181),
        ("NVIDIA GeForce RTX 4090", "bf16", 165.2),
        ("Tesla T4", "fp16", 65),
        ("Tesla T4", "bf16", None),
        ("Tesla V100-SXM2-16GB", "fp16", 125),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", "bf16", None),
        ("NVIDIA A100-SXM4-40GB MIG 1g.5gb", "bf16", None),
        ("NVIDIA T400", "fp16", None),
        ("NVIDIA H200", "", None),
        ("AMD Instinct MI300X", "bf16", None),
    ],
)
def test_what_the_data_sheet_says(name, kind, tera):
    found = peak_of_gpu(name, kind)
    assert found == (None if tera is None else pytest.approx(tera * 1e12))


def test_float32_matrices_may_be_multiplied_as_tf32():
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("highest")
        assert compute_kind("32-true") == "fp32"
        torch.set_float32_matmul_precision("high")
        assert compute_kind("32-true") == "tf32"
    finally:
        torch.set_float32_matmul_precision(before)
    assert [compute_kind(p) for p in ("16-mixed", "bf16-true", "64-true", "16-true")] == [
        *("fp16", "bf16", "fp64", "fp16"),
    ]


def test_a_cpu_is_measured_and_its_threads_stay():
    threads = torch.get_num_threads()
    found = peak_flops(torch.device("cpu"), "32-true")
    assert found is not None
    assert 1e8 < found < 1e16
    assert torch.get_num_threads() == threads
    assert peak_flops(torch.device("cpu"), "32-true") == found, "once a process"


def test_what_is_not_known_is_left_out():
    assert peak_flops(torch.device("cpu"), "16-mixed") is None
    assert peak_flops(torch.device("mps"), "32-true") is None

"""The notice of mixed_bfloat16 on a CPU that cannot do it."""

import pytest

from vlae_tf.training import slow_policy
from vlae_tf.training.slow_policy import slow_policy_notice

OLD = "processor\t: 0\nflags\t\t: fpu sse2 avx2 fma\n"
NEW = "processor\t: 0\nflags\t\t: fpu sse2 avx2 fma avx512f avx512_bf16\n"


@pytest.fixture
def cpu(tmp_path):
    def write(text):
        (tmp_path / "cpuinfo").write_text(text)
        return tmp_path / "cpuinfo"

    return write


def test_a_cpu_without_avx512_is_told_of(cpu):
    notice = slow_policy_notice("mixed_bfloat16", cpu(OLD))
    assert "mixed_bfloat16" in notice and "float32" in notice and "AVX-512" in notice


@pytest.mark.parametrize(
    "dtype, text",
    [("float32", OLD), ("mixed_bfloat16", NEW), ("mixed_bfloat16", "Features\t: fp asimd bf16\n")],
    ids=["float32", "AVX-512", "not x86"],
)
def test_silence_where_nothing_is_known_to_be_slow(cpu, dtype, text):
    assert slow_policy_notice(dtype, cpu(text)) is None


def test_silence_without_a_description_of_the_cpu(tmp_path):
    assert slow_policy_notice("mixed_bfloat16", tmp_path / "nothing") is None


def test_silence_with_an_accelerator(cpu, monkeypatch):
    monkeypatch.setattr(slow_policy.keras.distribution, "list_devices", lambda: ["gpu:0"])
    assert slow_policy_notice("mixed_bfloat16", cpu(OLD)) is None


def test_silence_on_jax(cpu, monkeypatch):
    monkeypatch.setattr(slow_policy, "BACKEND", "jax")
    assert slow_policy_notice("mixed_bfloat16", cpu(OLD)) is None

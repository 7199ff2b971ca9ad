"""Memory that is kept is seen from outside: in what the system says this process holds."""

import os
from pathlib import Path

import pytest
import torch

from demucs_lab.common import memory
from demucs_lab.common.memory import reused_memory

MB = 1 << 20
needs_glibc = pytest.mark.skipif(
    memory._glibc() is None or not Path("/proc/self/statm").exists(),
    reason="only glibc is told to keep memory",
)


def held() -> float:
    """MB of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MB


def use_and_free(megabytes: int = 300) -> None:
    torch.ones(megabytes * MB // 4)


@needs_glibc
def test_what_is_freed_stays_until_the_end():
    use_and_free()
    before = held()
    with reused_memory():
        use_and_free()
        assert held() > before + 200
        with reused_memory():
            pass
        assert held() > before + 200  # the outer one goes on
    assert held() < before + 50
    use_and_free()
    assert held() < before + 50  # and all is as it was


@needs_glibc
def test_an_error_gives_the_memory_back_too():
    @reused_memory()
    def fails():
        use_and_free()
        raise RuntimeError

    before = held()
    with pytest.raises(RuntimeError):
        fails()
    assert held() < before + 50


@pytest.mark.parametrize("error", [AttributeError, ValueError])
def test_elsewhere_nothing_happens(monkeypatch, error):
    def unknown(name):
        raise error

    monkeypatch.setattr(os, "confstr", unknown, raising=False)
    with reused_memory():
        assert torch.ones(3).sum() == 3

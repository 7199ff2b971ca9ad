"""Modules here may import `peers`, which lies beside them."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def same_weights_every_time():
    torch.manual_seed(0)

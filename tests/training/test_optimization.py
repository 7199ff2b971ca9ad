import math
from itertools import pairwise

import pytest
import torch

from demucs_lab.training.optimization import RunningMean, schedule


def test_the_running_mean_is_the_weighted_sum_of_all_weights():
    """Closed form: sum over updates of (1 - d_i) times the product of the later d."""
    model = torch.nn.Linear(3, 2)
    start = [p.detach().clone() for p in model.parameters()]
    mean = RunningMean(model, decay=0.6)
    seen, decays = [], []
    for count in range(1, 9):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.normal_(generator=torch.Generator().manual_seed(count))
        mean.update(model, count)
        seen.append([p.detach().clone() for p in model.parameters()])
        decays.append(min(0.6, (1 + count) / (10 + count)))
    for i, found in enumerate(mean.model.parameters()):
        expected = math.prod(decays) * start[i]
        for k, weights in enumerate(seen):
            expected = expected + (1 - decays[k]) * math.prod(decays[k + 1 :]) * weights[i]
        assert torch.allclose(found, expected, atol=1e-6)


def test_without_decay_the_mean_is_the_weights():
    model = torch.nn.Linear(3, 2)
    mean = RunningMean(model, decay=0.0)
    torch.nn.init.ones_(model.weight)
    mean.update(model, 1)
    assert torch.equal(mean.model.weight, model.weight)


def test_buffers_are_copied():
    model = torch.nn.BatchNorm1d(2)
    mean = RunningMean(model, 0.9)
    model(torch.randn(8, 2) + 5)
    mean.update(model, 1)
    assert torch.equal(mean.model.running_mean, model.running_mean)


def test_the_rate_rises_over_the_warmup_and_falls_to_nothing():
    rates = [schedule(step, step / 100, warmup=10) for step in range(101)]
    peak = rates.index(max(rates))
    assert peak == 9
    assert all(a < b for a, b in pairwise(rates[:10]))
    assert all(a > b for a, b in pairwise(rates[9:]))
    assert rates[50] == pytest.approx(0.5)
    assert rates[100] == 0


def test_without_cosine_and_warmup_the_rate_stays():
    assert {schedule(step, step / 10, warmup=0, cosine=False) for step in range(11)} == {1.0}

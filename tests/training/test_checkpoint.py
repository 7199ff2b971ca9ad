import pytest
import torch
from safetensors import SafetensorError

from demucs_lab.training import checkpoint

TENSORS = {"a": torch.arange(6.0).view(2, 3), "b": torch.tensor(3)}


def write(folder, *steps):
    for step in steps:
        checkpoint.save_checkpoint(folder, step, {**TENSORS, "at": torch.tensor(step)}, {"n": step})


def test_what_was_written_comes_back(tmp_path):
    write(tmp_path, 7)
    tensors, facts, complaints = checkpoint.load_checkpoint(tmp_path)
    assert torch.equal(tensors["a"], TENSORS["a"])
    assert (facts["n"], facts["step"], complaints) == (7, 7, [])


def test_two_are_kept_and_nothing_else(tmp_path):
    write(tmp_path, 1, 2, 10, 11)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [f"step-{n:08d}.{x}" for n in (10, 11) for x in ("json", "safetensors")]


@pytest.mark.parametrize("suffix", [".safetensors", ".json"])
@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "gone"])
def test_a_damaged_one_is_named_and_the_one_before_is_used(tmp_path, suffix, damage):
    write(tmp_path, 1, 2)
    path = tmp_path / f"step-00000002{suffix}"
    content = bytearray(path.read_bytes())
    if damage == "flip":
        place = content.index(b"sha256") if suffix == ".json" else len(content) - 1
        content[place] ^= 1
    written = {"flip": content, "cut": content[: len(content) // 2], "empty": b""}
    path.unlink() if damage == "gone" else path.write_bytes(bytes(written[damage]))
    tensors, facts, complaints = checkpoint.load_checkpoint(tmp_path)
    assert (facts["n"], int(tensors["at"])) == (1, 1)
    if (suffix, damage) != (".json", "gone"):  # without its JSON it was never finished
        assert len(complaints) == 1
        assert "step-00000002.safetensors is damaged" in complaints[0]


def test_if_all_are_damaged_the_newest_is_named(tmp_path):
    write(tmp_path, 1, 2)
    for path in tmp_path.glob("*.safetensors"):
        path.write_bytes(b"no")
    with pytest.raises(ValueError, match=r"step-00000002.*none before it"):
        checkpoint.load_checkpoint(tmp_path)


def test_no_checkpoint_is_one_sentence(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no checkpoint in"):
        checkpoint.load_checkpoint(tmp_path)


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), SafetensorError("No space left on device")]
)
def test_a_full_disk_is_one_sentence_and_those_before_stay(tmp_path, monkeypatch, error):
    write(tmp_path, 1, 2)
    before = sorted(tmp_path.iterdir())

    def full(*args, **kwargs):
        raise error

    monkeypatch.setattr("safetensors.torch.save_file", full)
    with pytest.raises(OSError, match=r"step-00000003\.safetensors could not be written.*No space"):
        write(tmp_path, 3)
    assert sorted(tmp_path.iterdir()) == before
    assert checkpoint.load_checkpoint(tmp_path)[1]["n"] == 2


def test_writing_one_again_on_a_full_disk_leaves_the_whole_one(tmp_path, monkeypatch):
    write(tmp_path, 1, 2)

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    with pytest.raises(OSError, match="could not be written"):
        write(tmp_path, 2)
    assert checkpoint.load_checkpoint(tmp_path)[1:] == (checkpoint.load_checkpoint(tmp_path)[1], [])
    assert checkpoint.load_checkpoint(tmp_path)[1]["n"] == 2


def test_tensors_that_a_kill_left_without_their_json_are_removed(tmp_path):
    write(tmp_path, 1, 2)
    (tmp_path / "step-00000002.json").unlink()
    write(tmp_path, 3)
    assert [path.name for path in sorted(tmp_path.glob("*.safetensors"))] == [
        "step-00000001.safetensors", "step-00000003.safetensors",
    ]  # fmt: skip


def test_an_optimizer_goes_on_as_if_it_had_not_stopped(tmp_path):
    def model_and_adam():
        torch.manual_seed(0)
        model = torch.nn.Linear(4, 2)
        return model, torch.optim.AdamW(model.parameters(), lr=0.1)

    def steps(model, adam, numbers):
        for number in numbers:
            batch = torch.randn(3, 4, generator=torch.Generator().manual_seed(number))
            adam.zero_grad()
            model(batch).square().sum().backward()
            adam.step()

    unbroken, adam = model_and_adam()
    steps(unbroken, adam, range(6))
    first, adam = model_and_adam()
    steps(first, adam, range(3))
    kept = {**checkpoint.named("model", first), **checkpoint.optimizer_tensors(adam)}
    checkpoint.save_checkpoint(tmp_path, 3, kept, {})
    second, adam = model_and_adam()
    tensors, _, _ = checkpoint.load_checkpoint(tmp_path)
    checkpoint.restore("model", second, tensors)
    checkpoint.restore_optimizer(adam, tensors)
    steps(second, adam, range(3, 6))
    assert torch.equal(second.weight, unbroken.weight)


def test_a_checkpoint_may_hold_weights_with_fewer_axes_of_length_one():
    """As those of runs that began when 1×1 convolutions were stored as matrices."""
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 5, 1), torch.nn.Conv1d(5, 2, 4), torch.nn.PReLU()
    )
    optimizer = torch.optim.Adam(model.parameters())
    model[2](model[1](model[0](torch.randn(1, 3, 1, 9)).squeeze(2))).sum().backward()
    optimizer.step()
    tensors = {**checkpoint.named("model", model), **checkpoint.optimizer_tensors(optimizer)}
    flat = {k: v.flatten(1) if v.dim() > 2 else v for k, v in tensors.items()}
    assert {v.dim() for v in flat.values()} <= {0, 1, 2}

    again = torch.nn.Sequential(
        torch.nn.Conv2d(3, 5, 1), torch.nn.Conv1d(5, 2, 4), torch.nn.PReLU()
    )
    other = torch.optim.Adam(again.parameters())
    checkpoint.restore("model", again, flat)
    checkpoint.restore_optimizer(other, flat)
    restored = {**checkpoint.named("model", again), **checkpoint.optimizer_tensors(other)}
    assert restored.keys() == tensors.keys()
    for name, value in tensors.items():
        assert restored[name].shape == value.shape, name
        assert torch.equal(restored[name], value), name

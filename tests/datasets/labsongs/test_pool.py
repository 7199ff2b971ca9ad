"""Many songs at once, in processes that end with their master."""

import pytest

from demucs_lab.datasets.labsongs import cache, pool


def _jobs(root, count):
    return [
        {
            "folder": cache.song_folder(root, "train", index, 8000, 4.0),
            "split": "train",
            "index": index,
            "samplerate": 8000,
            "duration": 4.0,
        }
        for index in range(count)
    ]


def test_songs_are_rendered_in_processes(tmp_path, monkeypatch):
    monkeypatch.setattr(pool, "workers_available", lambda: 2)
    monkeypatch.setattr(pool, "ensure_song", None)  # not here
    jobs = _jobs(tmp_path, 5)
    pool.render_missing(jobs, False, "")
    assert all(cache.is_whole(job["folder"]) for job in jobs)


def test_an_error_in_a_process_becomes_one_sentence_here(tmp_path, monkeypatch):
    monkeypatch.setattr(pool, "workers_available", lambda: 2)
    jobs = _jobs(tmp_path, 5)
    for job in jobs:
        job["duration"] = 1.0
    with pytest.raises(OSError, match="a song needs 4 s") as caught:
        pool.render_missing(jobs, False, "")
    assert "\n" not in str(caught.value)


def test_a_process_that_dies_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(pool, "workers_available", lambda: 2)
    start = pool._start

    def doomed():
        process = start()
        process.kill()
        return process

    monkeypatch.setattr(pool, "_start", doomed)
    with pytest.raises(OSError, match="ended unexpectedly"):
        pool.render_missing(_jobs(tmp_path, 4), False, "")


def test_the_bar_counts_songs(tmp_path, capsys):
    pool.render_missing(_jobs(tmp_path, 2), True, "LabSongs train")
    shown = capsys.readouterr().err
    assert "LabSongs train" in shown
    assert "2/2" in shown


def test_nothing_to_do_is_done_at_once(tmp_path, capsys):
    pool.render_missing([], True, "LabSongs")
    assert capsys.readouterr().err == ""

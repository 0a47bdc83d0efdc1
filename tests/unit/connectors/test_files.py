"""A watched folder: when a file is taken, and when it is not."""

from __future__ import annotations

import pytest

from connectors.files import Folder


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture(name="clock")
def _clock():
    return Clock()


@pytest.fixture(name="folder")
def _folder(tmp_path, clock):
    return Folder(tmp_path, ["*.csv"], 2.0, clock)


def names(folder):
    return [found.path.name for found in folder.look()]


def test_a_file_is_taken_when_it_stands_still(folder, clock, tmp_path):
    (tmp_path / "a.csv").write_text("ts")
    assert names(folder) == []
    clock.now = 1.9
    assert names(folder) == []
    (tmp_path / "a.csv").write_text("ts,symbol")
    clock.now = 3.0
    assert names(folder) == []
    clock.now = 5.0
    assert names(folder) == ["a.csv"]


def test_other_names_and_hidden_files_are_left(folder, clock, tmp_path):
    for name in ("a.txt", ".b.csv", "c.csv"):
        (tmp_path / name).write_text("ts")
    (tmp_path / "d.csv").mkdir()
    folder.look()
    clock.now = 2.0
    assert names(folder) == ["c.csv"]


def test_one_that_was_taken_never_comes_again(folder, clock, tmp_path):
    (tmp_path / "a.csv").write_text("ts")
    folder.taken("a.csv")
    clock.now = 9.0
    (tmp_path / "a.csv").write_text("other")
    folder.look()
    clock.now = 99.0
    assert names(folder) == []


def test_one_that_was_refused_comes_again_when_it_has_changed(folder, clock, tmp_path):
    (tmp_path / "a.csv").write_text("ts")
    folder.look()
    clock.now = 2.0
    (found,) = folder.look()
    folder.refused(found)
    clock.now = 9.0
    assert names(folder) == []
    (tmp_path / "a.csv").write_text("mended")
    folder.look()
    clock.now = 11.0
    assert names(folder) == ["a.csv"]


def test_a_link_that_leads_to_itself_hides_no_other_file(folder, clock, tmp_path):
    (tmp_path / "a.csv").symlink_to(tmp_path / "a.csv")
    (tmp_path / "b.csv").write_text("ts")
    folder.look()
    clock.now = 2.0
    assert names(folder) == ["b.csv"]

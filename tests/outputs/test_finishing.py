"""Files and folders are whole or not there, whatever happens meanwhile."""

from __future__ import annotations

import os
import pathlib
import tempfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkl_ae.outputs import finished_file, finished_folder, free_place, require_place
from dkl_ae.records import UserError


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt(), ValueError("a fault")])
def test_what_fails_leaves_nothing_not_even_its_folders(tmp_path, error) -> None:
    def write_file() -> None:
        with finished_file(tmp_path / "new" / "folder" / "file") as unfinished:
            unfinished.write_text("half")
            raise error

    def write_folder() -> None:
        with finished_folder(tmp_path / "new" / "folder") as unfinished:
            (unfinished / "file").write_text("half")
            raise error

    for write in (write_file, write_folder):
        with pytest.raises(type(error)):
            write()
        assert not list(tmp_path.iterdir())


def test_what_is_finished_is_kept_where_its_place_was_taken_meanwhile(tmp_path) -> None:
    file, folder = tmp_path / "file", tmp_path / "folder"
    folder.mkdir()
    made: list[pathlib.Path] = []

    def write_file() -> None:
        with finished_file(file) as unfinished:
            made.append(unfinished)
            unfinished.write_text("mine")
            file.write_text("another's")

    def write_folder() -> None:
        with finished_folder(folder) as unfinished:
            made.append(unfinished)
            for name in "12":
                (unfinished / name).write_text("mine")
            (folder / "2").write_text("another's")

    for write in (write_file, write_folder):
        with pytest.raises(UserError, match="is there already") as told:
            write()
        assert str(told.value).endswith(f"; what was made is in {made[-1]}.")
    assert (made[0].read_text(), file.read_text()) == ("mine", "another's")
    assert {path.read_text() for path in made[1].iterdir()} == {"mine"}
    assert {path.name: path.read_text() for path in folder.iterdir() if path != made[1]} == {"2": "another's"}


def test_a_folder_keeps_what_else_is_in_it(tmp_path) -> None:
    (tmp_path / "notes").write_text("mine")
    with finished_folder(tmp_path, ["page"]) as unfinished:
        (unfinished / "page").write_text("new")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"notes": "mine", "page": "new"}


def test_nothing_is_written_into_a_recording_that_is_a_folder(tmp_path) -> None:
    recording = tmp_path / "set.zspy"
    (recording / "inner").mkdir(parents=True)
    for place in (recording, recording / "maps.h5", recording / "inner" / "maps.h5"):
        with pytest.raises(UserError, match="is what is read"):
            require_place(place, [recording], overwrite=True)
    require_place(tmp_path / "maps.h5", [recording])


def test_what_is_protected_against_writing_stays(tmp_path, monkeypatch) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    # The superuser may write everything.
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(UserError, match="protected against writing"), finished_file(file, overwrite=True):
        pass
    assert file.read_text() == "mine"


@given(st.sampled_from("aä漢😀"), st.integers(1, 400))
def test_names_of_any_length_are_written_or_told(letter, length) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, letter * length)
        said = ""
        try:
            with finished_file(file) as unfinished:
                unfinished.write_text("text")
        except UserError as error:
            said = str(error)
        assert os.listdir(folder) == ([] if said else [file.name])
    assert len(said) < len(folder) + 200
    # Windows counts letters, other systems bytes.
    assert bool(said) <= (len(file.name.encode()) > 255)
    assert bool(said) >= (len(file.name) > 255)


def test_a_free_place_is_one_where_nothing_is(tmp_path) -> None:
    place = tmp_path / "maps.png"
    for name in ("maps.png", "maps 2.png", "maps 3.png"):
        assert free_place(place) == tmp_path / name
        pathlib.Path(free_place(place)).touch()

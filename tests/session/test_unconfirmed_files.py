"""A session can come from anybody: nothing is run that it names, unless its user has confirmed that very file."""

from __future__ import annotations

import pathlib
import py_compile
import shutil
from collections.abc import Callable

import h5py
import pytest

from dkl_ae.commands.cli import main
from dkl_ae.records import UserError
from dkl_ae.scalarizers import file_hash, user_scalarizers
from dkl_ae.session import UnconfirmedFileError, open_session, take_up
from dkl_ae.session.append import clear_writer_mark
from dkl_ae.settings import changed, from_json, to_json
from tests.support.kept_runs import QUICK_PLAN, kept_run

SOURCE = """
import pathlib
from dkl_ae.scalarizers import scalarizer

pathlib.Path(__file__).with_name("was run").touch()

@scalarizer(unit="counts")
def brightest(pattern, reference):
    return float(pattern.max()), 1.0
"""


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> pathlib.Path:
    """The folder of a killed run and of the file that it reads with."""
    folder = tmp_path_factory.mktemp("kept")
    (folder / "mine.py").write_text(SOURCE)
    plan = changed(QUICK_PLAN, scalarizer="brightest", scalarizer_file=str(folder / "mine.py"))
    kept_run(folder / "run.h5", plan, killed_after=4)
    return folder


@pytest.fixture
def session(kept, tmp_path, monkeypatch) -> pathlib.Path:
    """That of a stranger, with the file beside it, in the present folder."""
    for name in ("mine.py", "run.h5"):
        shutil.copy(kept / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    rename(tmp_path / "run.h5", str(tmp_path / "mine.py"))
    user_scalarizers._load.cache_clear()
    return tmp_path / "run.h5"


def rename(session: pathlib.Path, file: str) -> None:
    """Have a session name a file of scalarizers."""
    clear_writer_mark(session)
    with h5py.File(session, "r+") as opened:
        opened.attrs["plan"] = to_json(changed(from_json(opened.attrs["plan"]), scalarizer_file=file))


def was_run(session: pathlib.Path) -> bool:
    return session.with_name("was run").exists()


def without_copy(session: pathlib.Path) -> None:
    with h5py.File(session, "r+") as opened:
        del opened["inputs/scalarizer_file"]


def with_another(session: pathlib.Path) -> None:
    session.with_name("mine.py").write_text(SOURCE.replace("max", "min"))


def cut_off(session: pathlib.Path) -> None:
    content = session.read_bytes()
    session.write_bytes(content[: int(0.9 * len(content))])


STRANGE: dict[str, Callable[[pathlib.Path], None]] = {
    "as it was": lambda session: None,
    "a relative path": lambda session: rename(session, "mine.py"),
    "no copy": without_copy,
    "a relative path and no copy": lambda session: (rename(session, "mine.py"), without_copy(session)),
    "another file": with_another,
    "cut off": cut_off,
}


@pytest.mark.parametrize("change", STRANGE.values(), ids=STRANGE)
def test_nothing_is_run_that_nobody_confirmed(session, change, capsys) -> None:
    change(session)
    for arguments in ([], ["--confirm", "0" * 64]):
        assert main(["resume", str(session), *arguments]) == 1
    assert capsys.readouterr().err.count("\n") == 2
    with pytest.raises(UserError):
        take_up(session)
    assert not was_run(session)


def test_whoever_reads_a_session_runs_nothing(session) -> None:
    assert main(["report", str(session)]) == 0
    assert main(["export", "--to", "csv", str(session)]) == 0
    with open_session(session) as opened:
        assert opened.measurements[0].readings["brightest"].value == opened.pattern(0).max()
    assert not was_run(session)


def test_what_is_confirmed_by_its_hash_is_run(session) -> None:
    with pytest.raises(UnconfirmedFileError) as caught:
        take_up(session)
    file = session.with_name("mine.py")
    assert (caught.value.file, caught.value.sha256) == (file, file_hash(file))
    assert str(caught.value) == (f"run.h5 runs {file} (SHA-256 {file_hash(file)}): read that file, and confirm it.")
    take_up(session, [caught.value.sha256])[2].close()
    assert was_run(session)


def test_a_relative_path_is_told_as_the_file_that_it_is_here(session) -> None:
    rename(session, "mine.py")
    with pytest.raises(UnconfirmedFileError) as caught:
        take_up(session)
    assert caught.value.file == session.with_name("mine.py")


def test_what_was_confirmed_is_what_is_run(session, monkeypatch) -> None:
    """Neither what the file has become since, nor what is said to have been compiled of it."""
    file = session.with_name("mine.py")
    other = session.with_name("other.py")
    other.write_text(SOURCE.replace("was run", "trap gone").replace("max", "min"))
    compiled = pathlib.Path(py_compile.compile(str(other), doraise=True))
    trap = bytearray(compiled.read_bytes())
    stat = file.stat()
    trap[8:16] = int(stat.st_mtime).to_bytes(4, "little") + stat.st_size.to_bytes(4, "little")
    compiled.with_name(compiled.name.replace("other", "mine")).write_bytes(trap)
    user_scalarizers.load_file(file)
    assert was_run(session)
    assert not session.with_name("trap gone").exists()
    confirmed = file_hash(file)
    file.write_text(SOURCE.replace("was run", "trap gone"))
    with pytest.raises(UserError, match=r"mine.py has changed since it was looked at: look again\.$"):
        user_scalarizers.load_file(file, confirmed)
    assert not session.with_name("trap gone").exists()


def test_a_finished_run_is_refused_before_its_file_is_looked_at(tmp_path) -> None:
    (tmp_path / "mine.py").write_text(SOURCE)
    kept_run(tmp_path / "run.h5", changed(QUICK_PLAN, scalarizer_file=str(tmp_path / "mine.py"), model_points=0))
    (tmp_path / "mine.py").unlink()
    with pytest.raises(UserError, match=r"^All 6 points of run.h5 are measured"):
        take_up(tmp_path / "run.h5")

"""A session has one writer at a time, whatever the programs are that want to be it, and however they end."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator

import pytest

from dkl_ae.run import NotKeptError
from dkl_ae.scalarizers import SCALARIZERS
from dkl_ae.session import SessionWriter, open_session, take_up
from dkl_ae.session.disk import writer_lock
from tests.support.kept_runs import QUICK_PLAN, kept_run

MEASURED = 4


@pytest.fixture(scope="module")
def killed(tmp_path_factory) -> pathlib.Path:
    file = tmp_path_factory.mktemp("killed") / "session.h5"
    kept_run(file, killed_after=MEASURED)
    return file


@pytest.fixture
def session(killed, tmp_path) -> pathlib.Path:
    """Of a run that was killed."""
    return pathlib.Path(shutil.copy(killed, tmp_path / "session.h5"))


def program(text: str, *arguments: str | pathlib.Path) -> subprocess.Popen[str]:
    """Another program, in its own process."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(text), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=pathlib.Path(__file__).parents[2],
    )


@contextlib.contextmanager
def taken_up_elsewhere(session: pathlib.Path) -> Iterator[subprocess.Popen[str]]:
    """Another program is about to go on with a session; it lets go once it is told to."""
    text = """
        import pathlib, sys
        from dkl_ae.session import take_up
        _, _, writer = take_up(pathlib.Path(sys.argv[1]))
        print("taken up", flush=True)
        sys.stdin.readline()
        writer.close()
    """
    with program(text, session) as other:
        try:
            assert other.stdout.readline() == "taken up\n"
            yield other
        finally:
            other.kill()


def refusal(file: pathlib.Path, process: int) -> str:
    return f"{file} is written by process {process} on {socket.gethostname()}: stop the run there, or wait for its end."


def files_beside(session: pathlib.Path) -> list[str]:
    return sorted(file.name for file in session.parent.iterdir() if file != session)


def measured(session: pathlib.Path) -> int:
    with open_session(session) as opened:
        return opened.count


def test_a_second_program_is_told_who_writes_and_reads_all_the_same(session) -> None:
    with taken_up_elsewhere(session) as other:
        content = session.read_bytes()
        for attempt in (lambda: take_up(session), lambda: SessionWriter(session, QUICK_PLAN, SCALARIZERS)):
            with pytest.raises(NotKeptError) as caught:
                attempt()
            assert str(caught.value) == refusal(session, other.pid)
        assert session.read_bytes() == content
        assert measured(session) == MEASURED
        other.communicate("let go\n")
        assert other.returncode == 0
    assert files_beside(session) == []
    take_up(session)[2].close()


def test_a_program_that_is_killed_holds_nothing(session) -> None:
    with taken_up_elsewhere(session) as other:
        other.kill()
        other.wait()
    take_up(session)[2].close()
    assert measured(session) == MEASURED
    assert files_beside(session) == []


def test_one_file_has_one_writer_by_whatever_name(session, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = [pathlib.Path("session.h5"), tmp_path / "folder" / ".." / "session.h5"]
    (tmp_path / "folder").mkdir()
    with contextlib.suppress(OSError, NotImplementedError):  # Windows lets not everyone make links
        (tmp_path / "link.h5").symlink_to(session)
        names.append(tmp_path / "link.h5")
    writer = take_up(session)[2]
    for name in names:
        with pytest.raises(NotKeptError, match=f"process {os.getpid()} on"):
            take_up(name)
    writer.close()


def test_whoever_is_refused_leaves_nothing(session) -> None:
    content = session.read_bytes()
    session.write_bytes(content[: len(content) // 3])
    with pytest.raises(ValueError, match=r"damaged|cut off"):
        take_up(session)
    assert files_beside(session) == []
    session.write_bytes(content)
    take_up(session)[2].close()


def test_a_lock_that_is_removed_is_taken_again_before_anything_is_written(tmp_path) -> None:
    """With the folder, or by someone who took it for a leftover."""
    session = tmp_path / "folder" / "session.h5"
    writer = SessionWriter(session, QUICK_PLAN, SCALARIZERS)
    shutil.rmtree(session.parent)
    session.parent.mkdir()
    other = SessionWriter(session, QUICK_PLAN, SCALARIZERS)
    with pytest.raises(NotKeptError, match="is written by process"):
        writer._lock.hold()
    other.close()
    writer._lock.hold()
    with pytest.raises(NotKeptError, match="is written by process"):
        SessionWriter(session, QUICK_PLAN, SCALARIZERS)
    writer.close()


def test_a_writer_that_is_forgotten_holds_nothing(tmp_path) -> None:
    session = tmp_path / "session.h5"
    for _ in range(2):
        SessionWriter(session, QUICK_PLAN, SCALARIZERS)
    assert files_beside(session) == []


def test_a_note_that_cannot_be_read_is_no_failure(tmp_path) -> None:
    session = tmp_path / "session.h5"
    writer = SessionWriter(session, QUICK_PLAN, SCALARIZERS)
    for note in (b"", b"\0", b"\0{", b"\0[1]", b'\0{"process": "x", "host": 1}', b"\0\xff"):
        (tmp_path / "session.h5.lock").write_bytes(note)
        with pytest.raises(NotKeptError, match=r"session.h5 is written by another program: stop"):
            SessionWriter(session, QUICK_PLAN, SCALARIZERS)
    writer.close()


def test_a_folder_that_cannot_lock_is_told_and_does_not_stop_a_run(session, monkeypatch) -> None:
    def cannot(descriptor: int, *, blocking: bool) -> bool:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(writer_lock, "lock_descriptor", cannot)
    writer = take_up(session)[2]
    assert writer.notice == (
        f"{session.parent} cannot lock files, so nothing keeps another program from session.h5: go on with it nowhere "
        "else meanwhile."
    )
    writer.close()
    assert files_beside(session) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_of_the_writer_does_not_hold_on_when_the_writer_is_killed(session) -> None:
    text = """
        import os, pathlib, sys, time
        from dkl_ae.session import take_up
        _, _, writer = take_up(pathlib.Path(sys.argv[1]))
        child = os.fork()
        if not child:
            print("forked", os.getpid(), flush=True)
            sys.stdin.readline()
            writer.close()
            os._exit(0)
        os.waitpid(child, 0)
        time.sleep(600)
    """
    with program(text, session) as other:
        child = int(other.stdout.readline().split()[1])
        try:
            with pytest.raises(NotKeptError) as caught:
                take_up(session)
            assert str(caught.value) == refusal(session, other.pid)
            other.kill()
            other.wait()
            take_up(session)[2].close()
        finally:
            os.kill(child, signal.SIGKILL)

"""What the commands write never takes the place of something else, and is there whole or not at all."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import pathlib
import sys
import typing
from collections.abc import Callable, Iterator

import h5py
import numpy
import pytest

from dkl_ae.benchmarks import learning, recorded
from dkl_ae.commands.cli import main
from dkl_ae.reports import page as page_module
from dkl_ae.settings import changed
from tests.support.kept_runs import QUICK_PLAN, kept_run
from tests.support.recorded_patterns import graphene_recording

SIDE = 12
EARLIER = b'{"regressions": [], "searches": []}'
"""An earlier file: to the benchmark it is one of its own."""


@dataclasses.dataclass(frozen=True)
class Written:
    """A command, and one of the files that it writes."""

    arguments: str
    """With the names {recording}, {session} and {ideal} of what it may read, and of its {out}."""
    reads: str
    file: str = ""
    """In the folder {out}; empty where {out} is the file itself."""
    suffix: str = ""


COMMANDS: typing.Final = {
    "scalarize": Written("scalarize {recording} --scalarizer bf --out {out}", "recording"),
    "scalarize --picture": Written(
        "scalarize {recording} --scalarizer bf --out {out}.maps --picture {out}", "recording", suffix=".png"
    ),
    "reconstruct": Written(
        "reconstruct {recording} --scalarizer bf --fractions 0.1 --patch 5 --out {out}",
        "recording",
        "reconstruction.h5",
    ),
    "replay": Written("replay {recording} --patch 5 --seeds 2 --steps 0 --scalarizer bf --out {out}", "recording"),
    "report": Written("report {session} --out {out}", "session", "report.html"),
    "export": Written("export {session} --to emd --out {out}", "session"),
    "export to a folder": Written("export {session} --to csv --out {out}", "session", "measurements.csv"),
    "benchmark": Written("benchmark learning {ideal} --method grid --seeds 1 --out {out}", "ideal", "learning.json"),
}

commands = pytest.mark.parametrize("name", COMMANDS)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> dict[str, bytes]:
    """The content of what commands read, by its name."""
    folder = tmp_path_factory.mktemp("made")
    graphene_recording(folder / "recording", SIDE, SIDE, vacuum=True)
    kept_run(folder / "session", changed(QUICK_PLAN, seed_points=1, model_points=0))
    with h5py.File(folder / "recording") as opened, h5py.File(folder / "ideal", "w") as ideal:
        patterns = opened["patterns"][:].astype(float)
        ideal["patterns_code"] = numpy.sqrt(patterns / 1e5)
        ideal["patterns_code"].attrs["scale"] = 1.0
        ideal["vacuum"], ideal["haadf"] = opened["vacuum"][:] / 1e5, opened["haadf"][:]
        ideal.attrs["metadata"] = opened.attrs["metadata"]
    return {name: (folder / name).read_bytes() for name in ("recording", "session", "ideal")}


@dataclasses.dataclass(frozen=True)
class Place:
    """A folder with what the commands read, where one writes."""

    folder: pathlib.Path
    command: Written

    @property
    def source(self) -> pathlib.Path:
        """What the command reads."""
        return self.folder / f"{self.command.reads}.h5"

    @property
    def out(self) -> pathlib.Path:
        return self.folder / f"out{self.command.suffix}"

    @property
    def target(self) -> pathlib.Path:
        """The file that is written."""
        return self.out / self.command.file

    def call(self, *more: str, out: pathlib.Path | None = None) -> int:
        names = {name: self.folder / f"{name}.h5" for name in ("recording", "session", "ideal")}
        words = [word.format(**names, out=out or self.out) for word in self.command.arguments.split()]
        return main([*words, *more])

    def content(self) -> dict[str, bytes | str]:
        """Of all that is in the folder, by its path."""
        return {str(path.relative_to(self.folder)): _content(path) for path in sorted(self.folder.rglob("*"))}


def _content(path: pathlib.Path) -> bytes | str:
    if path.is_symlink():
        return f"link to {os.readlink(path)}"
    return path.read_bytes() if path.is_file() else f"{path.lstat().st_mode:o}"


@pytest.fixture
def place(name, made, tmp_path, monkeypatch) -> Place:
    for source, content in made.items():
        (tmp_path / f"{source}.h5").write_bytes(content)
    monkeypatch.setattr(recorded, "PATCH_SIZE", 3)
    monkeypatch.setattr(learning, "CHOSEN_POINTS", 20)
    # To draw takes longer than all the rest.
    monkeypatch.setattr(page_module, "save_figure", lambda figure, file, *more, **named: file.write_bytes(b"drawn"))
    return Place(tmp_path, COMMANDS[name])


def put(target: pathlib.Path, make: Callable[[pathlib.Path], object]) -> None:
    target.parent.mkdir(exist_ok=True)
    make(target)


def assert_refused(place: Place, capsys, *more: str, out: pathlib.Path | None = None) -> str:
    """In one sentence, and nothing has changed; returns the sentence."""
    before = place.content()
    capsys.readouterr()
    assert place.call(*more, out=out) == 1
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    assert said.err.endswith(".\n")
    assert "failed unexpectedly" not in said.err
    assert place.content() == before
    return said.err


@commands
def test_where_nothing_is_it_writes_and_leaves_nothing_else(place, name) -> None:
    before = place.content()
    assert place.call() == 0
    new = sorted(set(place.content()) - set(before))
    assert place.target.is_file()
    assert {path.partition(os.sep)[0] for path in new} <= {place.out.name, f"{place.out.name}.maps"}
    assert not [path for path in new if path.endswith(".part")]


@commands
def test_an_earlier_file_stays_unless_it_is_to_be_overwritten(place, name, capsys) -> None:
    put(place.target, lambda target: target.write_bytes(EARLIER))
    if name == "export to a folder":
        assert "is a folder" in assert_refused(place, capsys)
        assert "is a folder" in assert_refused(place, capsys, "--overwrite")
        return
    assert "is there already: choose another place with " in assert_refused(place, capsys)
    # Another name of the earlier file still has it: what is new has another place on the disk.
    hard_link(place.target, place.folder / "kept")
    assert place.call("--overwrite") == 0
    assert place.target.read_bytes() != EARLIER
    assert (place.folder / "kept").read_bytes() == EARLIER
    assert not list(place.folder.rglob("*.part"))


@commands
@pytest.mark.parametrize("what", ["another recording", "empty"])
def test_what_somebody_else_has_made_stays(place, name, what, made, capsys) -> None:
    content = made["recording"] if what == "another recording" else b""
    put(place.target, lambda target: target.write_bytes(content))
    assert_refused(place, capsys)


def hard_link(source: pathlib.Path, target: pathlib.Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        pytest.skip("this disk has no hard links")


def symbolic_link(source: pathlib.Path, target: pathlib.Path) -> None:
    try:
        target.symlink_to(source)
    except OSError:
        pytest.skip("this user may make no symbolic links")


@commands
@pytest.mark.parametrize("link", [hard_link, symbolic_link])
def test_what_is_read_is_never_overwritten_by_whatever_name(place, name, link, capsys) -> None:
    put(place.target, functools.partial(link, place.source))
    said = assert_refused(place, capsys, "--overwrite")
    assert "is what is read" in said or name in ("benchmark", "export to a folder")


OTHER_CASE: typing.Final = ["{upper}"] if sys.platform in ("win32", "darwin") else []
"""Where letters of another case make the same name."""


@pytest.mark.parametrize("name", [name for name, command in COMMANDS.items() if not (command.file or command.suffix)])
@pytest.mark.parametrize("path", ["{name}", "folder/../{name}", "./{name}", *OTHER_CASE])
def test_what_is_read_is_never_overwritten_by_its_own_name(place, name, path, monkeypatch, capsys) -> None:
    (place.folder / "folder").mkdir()
    monkeypatch.chdir(place.folder)
    out = pathlib.Path(path.format(name=place.source.name, upper=place.source.name.upper()))
    assert "is what is read" in assert_refused(place, capsys, "--overwrite", out=out)


@commands
@pytest.mark.skipif(sys.platform == "win32", reason="has no such files")
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_what_is_no_regular_file_is_never_overwritten(place, name, kind, capsys) -> None:
    make = {
        "pipe": os.mkfifo,
        "device": lambda target: target.symlink_to("/dev/null"),
        "folder": lambda target: target.mkdir(),
    }
    put(place.target, make[kind])
    before = os.stat("/dev/null")
    assert_refused(place, capsys, "--overwrite")
    assert os.path.samestat(os.stat("/dev/null"), before)


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "export to a folder"])
def test_a_link_is_followed(place, name, capsys) -> None:
    """A folder of tables alone must be new."""
    elsewhere = place.folder / "elsewhere"
    elsewhere.write_bytes(EARLIER)
    put(place.target, functools.partial(symbolic_link, elsewhere))
    assert place.call("--overwrite") == 0
    assert place.target.is_symlink()
    assert elsewhere.read_bytes() != EARLIER


REFUSED: typing.Final = {
    "scalarize": ["--scalarizer", "colour"],
    "scalarize --picture": ["--reference", "nowhere.npz"],
    "reconstruct": ["--patch", "99"],
    "replay": ["--patch", "99"],
    "report": ["--steps", "9999"],
    "benchmark": ["--seeds", "0"],
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_earlier_file_stays_when_the_command_cannot_be_carried_out(place, name, capsys) -> None:
    put(place.target, lambda target: target.write_bytes(EARLIER))
    before = place.content()
    assert place.call("--overwrite", *REFUSED[name]) == 1
    assert place.content() == before


@contextlib.contextmanager
def disk_for_files_of(size: int) -> Iterator[None]:
    """No file can be longer, as on a disk that is full by then."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "replay"])
@pytest.mark.parametrize("size", [0, 300])
def test_a_full_disk_is_one_sentence_and_takes_nothing_away(place, name, size, capsys) -> None:
    is_new = name == "export to a folder"
    if not is_new:
        put(place.target, lambda target: target.write_bytes(EARLIER))
    before = place.content()
    with disk_for_files_of(size):
        assert place.call("--overwrite") == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "File too large" in said
    maps = {"out.png.maps"} if name == "scalarize --picture" else set()
    assert {path: content for path, content in place.content().items() if path not in maps} == before

"""The Python in the documentation runs."""

from __future__ import annotations

import pathlib
import re
import shutil

import pytest

ROOT = pathlib.Path(__file__).parent.parent
EXAMPLES = [
    pytest.param(example, id=f"{document.relative_to(ROOT).as_posix()}-{number}")
    for document in sorted({ROOT / "README.md", *ROOT.glob("docs/**/*.md")})
    for number, example in enumerate(re.findall(r"^```python\n(.*?)^```", document.read_text("utf-8"), re.S | re.M))
]


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 3


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_runs(example, tmp_path, monkeypatch) -> None:
    """It finds a session of the name that the documentation uses in its folder."""
    shutil.copy(ROOT / "tests/data/session-1.h5", tmp_path / "session.h5")
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "<documentation>", "exec"), {"__name__": "documentation"})

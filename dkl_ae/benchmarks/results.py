"""What the benchmark of learning found, as it is kept in a folder."""

from __future__ import annotations

import dataclasses
import json
import math
import pathlib
import typing
from collections.abc import Sequence

from dkl_ae.outputs import finished_file, require_place
from dkl_ae.records import UserError

FILE: typing.Final = "learning.json"


@dataclasses.dataclass(frozen=True)
class Quality:
    """Of a predicted map."""

    r2: float
    spearman: float
    density: float
    """Mean negative log density, of readings in units of their deviation over the map."""
    covered_95: float
    covered_68: float


@dataclasses.dataclass(frozen=True)
class RegressionResult:
    """From points at random places."""

    file: str
    target: str
    method: str
    points: int
    fraction: float
    seed: int
    quality: Quality


@dataclasses.dataclass(frozen=True)
class SearchResult:
    """Points chosen by expected improvement after ten at random places."""

    file: str
    target: str
    method: str
    seed: int
    best_of: int
    """How many of the candidates are the best 1 %."""
    found: list[int]
    """Of these after each point."""
    largest: list[float]
    """True reading so far, as a share of the largest there is, after each point."""
    quality: Quality | None
    """Of the map after 50 points; None for a method that learns none."""


@dataclasses.dataclass(frozen=True)
class Results:
    regressions: list[RegressionResult]
    searches: list[SearchResult]

    @classmethod
    def read(cls, folder: pathlib.Path | None) -> Results:
        """Those of a folder; none when it holds none. Raises UserError when they cannot be read."""
        file = (folder or pathlib.Path()) / FILE
        if folder is None or not file.exists():
            return cls([], [])
        require_place(file, overwrite=True)
        try:
            stored = json.loads(file.read_text(encoding="utf-8"))
            return cls(
                [RegressionResult(**_fields(row)) for row in stored.get("regressions", stored.get("learned"))],
                [SearchResult(**_fields(row)) for row in stored.get("searches", stored.get("chased"))],
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise UserError(f"{file} holds no results of this benchmark: choose another folder with --out.") from error

    def write(self, folder: pathlib.Path | None) -> None:
        if folder is None:
            return
        text = json.dumps(dataclasses.asdict(self), indent=0)
        with finished_file(folder / FILE, overwrite=True) as unfinished:
            unfinished.write_text(text, encoding="utf-8")


def _fields(row: dict[str, typing.Any]) -> dict[str, typing.Any]:
    if "way" in row:  # its name in files of earlier versions
        row["method"] = row.pop("way")
    return {**row, "quality": row["quality"] and Quality(**row["quality"])}


Row = typing.TypeVar("Row", RegressionResult, SearchResult)


def replaced(kept: Sequence[Row], rows: Sequence[Row]) -> list[Row]:
    """Put rows in the place of those of the same file, number and method."""
    same = {(row.file, row.target, row.method) for row in rows}
    return [row for row in kept if (row.file, row.target, row.method) not in same] + list(rows)


def points_until(row: SearchResult, share: float) -> float:
    """How many points it took to find a share of the best 1 %, at least one; infinity when it was not found."""
    wanted = max(math.ceil(share * row.best_of), 1)
    return next((count for count, found in enumerate(row.found, 1) if found >= wanted), math.inf)

"""Your own scalarizers: functions in a Python file, or installed packages that offer them.

A file holds functions marked with `scalarizer`:

    from dkl_ae.scalarizers import scalarizer

    @scalarizer(unit="electrons", label="Brightest pixel")
    def brightest(electrons, reference):
        return electrons.max()

A package offers such a function, or a `Scalarizer`, as an entry point in the group dkl_ae.scalarizers.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib.machinery
import importlib.metadata
import importlib.util
import logging
import pathlib
import sys
import typing
from collections.abc import Callable

import numpy

from dkl_ae.patterns import Patterns, Reference
from dkl_ae.records import FloatArray, Symmetry, UserError, described
from dkl_ae.scalarizers.scalarizer import Scalarizer, ScalarizerResult, reason_of

logger = logging.getLogger(__name__)

ENTRY_POINTS = "dkl_ae.scalarizers"
_REPETITIONS = 16
"""Of drawing a pattern anew to learn the error of a number that comes without one: it is known to 18 %."""

Function = Callable[[FloatArray, Reference], typing.Any]


def scalarizer(
    *, unit: str = "", label: str = "", symmetry: Symmetry = Symmetry.NONE
) -> Callable[[Function], Scalarizer]:
    """Make a scalarizer of a function that is given one pattern and the reference.

    The function is given the electrons in each pixel, shape (ky, kx), and gives a number, or a number and its standard
    deviation. A number that comes alone is computed 16 times more, of patterns with as much more counting noise, to
    learn its error. Whatever it raises leaves that reading undefined, and is told.

    symmetry: what the number does when the specimen is turned or mirrored, where that is known.
    """

    def make(function: Function) -> Scalarizer:
        name = function.__name__
        return Scalarizer(
            name,
            label or name.replace("_", " ").capitalize(),
            unit,
            " ".join((function.__doc__ or f"Your function {name}.").split()),
            functools.partial(_evaluate, function),
            symmetry,
            source_file=function.__code__.co_filename,
        )

    return make


def _evaluate(function: Function, patterns: Patterns) -> ScalarizerResult:
    value, sigma = numpy.full((2, len(patterns)), numpy.nan)
    reasons = {}
    for index, electrons in enumerate(patterns.electrons):
        if index in patterns.reasons:
            continue
        try:
            value[index], sigma[index] = _value_and_sigma(function, electrons, patterns.reference)
        except Exception as error:
            reasons[index] = reason_of(error, function.__name__, function.__code__.co_filename)
    return ScalarizerResult(value, sigma, reasons)


def _value_and_sigma(function: Function, electrons: FloatArray, reference: Reference) -> tuple[float, float]:
    # A copy: the same array is read by every scalarizer.
    given = function(electrons.copy(), reference)
    if isinstance(given, tuple):
        value, sigma = given
        return float(value), float(sigma)
    # Equal patterns have equal errors, and different ones independent estimates of theirs.
    random = numpy.random.default_rng(int(abs(electrons.sum())))
    drawn = random.poisson(numpy.maximum(electrons, 0), (_REPETITIONS, *electrons.shape)).astype(numpy.float64)
    return float(given), float(numpy.std([float(function(pattern, reference)) for pattern in drawn], ddof=1))


def load_file(file: pathlib.Path, sha256: str = "") -> tuple[Scalarizer, ...]:
    """The scalarizers in a Python file. The file is run.

    sha256: of the content that may be run, as `file_hash` gives it; empty for any.

    Raises UserError, one sentence, when it cannot be run, may not be, or holds no scalarizer.
    """
    content = _content(file)
    if sha256 and _hash(content) != sha256:
        raise UserError(f"{file} has changed since it was looked at: look again.")
    return _load(file, content)


def file_hash(file: pathlib.Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits; raises UserError when it cannot be read."""
    return _hash(_content(file))


def _content(file: pathlib.Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UserError(f"There is no file {file} of scalarizers: check its name.") from error


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@functools.lru_cache(maxsize=8)
def _load(file: pathlib.Path, content: bytes) -> tuple[Scalarizer, ...]:
    spec = importlib.util.spec_from_file_location(f"dkl_ae_yours_{file.stem}", file)
    if spec is None or not isinstance(spec.loader, importlib.machinery.SourceFileLoader):
        raise UserError(f"{file.name} is not a Python file: choose one whose name ends in .py.")
    module = importlib.util.module_from_spec(spec)
    # As an import does: dataclasses in it look their module up.
    sys.modules[spec.name] = module
    try:
        # Not the loader's own way, which may run what lies in __pycache__ instead of the file.
        exec(spec.loader.source_to_code(content, str(file)), module.__dict__)
    except Exception as error:
        del sys.modules[spec.name]
        raise UserError(f"{file.name} cannot be run ({described(error)}): fix it.") from error
    scalarizers = tuple(_from(str(file), value) for value in vars(module).values() if isinstance(value, Scalarizer))
    if not scalarizers:
        raise UserError(f"{file.name} holds no scalarizer: mark a function in it with @scalarizer(unit=...).")
    return scalarizers


def _from(source: str, scalarizer: Scalarizer) -> Scalarizer:
    """The scalarizer, which says where it comes from."""
    return scalarizer if scalarizer.source_file else dataclasses.replace(scalarizer, source_file=source)


@functools.cache
def installed() -> tuple[Scalarizer, ...]:
    """Those that installed packages offer; one that cannot be used is left out, and the log says why."""
    found = []
    for entry_point in importlib.metadata.entry_points(group=ENTRY_POINTS):
        try:
            offered = entry_point.load()
        except Exception as error:
            logger.warning(
                "The installed scalarizer %s cannot be loaded (%s: %s): fix its package or remove it.",
                entry_point.name, type(error).__name__, error,
            )  # fmt: skip
            continue
        if isinstance(offered, Scalarizer):
            found.append(_from(entry_point.module, offered))
        else:
            logger.warning(
                "The installed scalarizer %s is a %s: its package must mark the function with @scalarizer(unit=...).",
                entry_point.name, type(offered).__name__,
            )  # fmt: skip
    return tuple(found)

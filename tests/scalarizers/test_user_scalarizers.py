"""Scalarizers of the user's own: from a file, and from an installed package."""

import dataclasses
import importlib
import logging
import math
import pathlib
import tomllib

import numpy
import pytest

from dkl_ae.patterns import Patterns
from dkl_ae.records import UserError
from dkl_ae.scalarizers import SCALARIZERS, catalogue, read, scalarize, scalarizer
from dkl_ae.scalarizers.expression import composite
from dkl_ae.scalarizers.user_scalarizers import installed
from tests.support.discs import REFERENCE, disc

FILE = '''
from dkl_ae.scalarizers import scalarizer


@scalarizer(unit="electrons", label="Brightest pixel")
def brightest(electrons, reference):
    """The most electrons in a pixel."""
    return electrons.max()


@scalarizer(unit="electrons")
def total(electrons, reference):
    return electrons.sum(), 3.0


@scalarizer()
def broken(electrons, reference):
    return 1 / 0
'''


@pytest.fixture
def file(tmp_path):
    written = tmp_path / "mine.py"
    written.write_text(FILE, encoding="utf-8")
    return written


def test_functions_in_a_file_are_read_beside_the_others(file) -> None:
    known = catalogue(str(file))
    assert list(known) == [*SCALARIZERS, "brightest", "total", "broken"]
    assert (known["brightest"].label, known["total"].label) == ("Brightest pixel", "Total")
    assert known["brightest"].description == "The most electrons in a pixel."
    found = scalarize(disc(), REFERENCE, known.values())
    assert found["brightest"].value == pytest.approx(disc().max())
    assert (found["total"].value, found["total"].sigma) == pytest.approx((1e6, 3.0))
    assert found["brightest"].unit == "electrons"


def test_an_exception_costs_nothing_but_that_reading(file) -> None:
    found = scalarize(disc(), REFERENCE, catalogue(str(file)).values())
    assert math.isnan(found["broken"].value)
    assert found["broken"].reason == "broken failed (ZeroDivisionError: division by zero): fix it in mine.py."
    assert math.isfinite(found["com_x"].value)
    assert math.isfinite(found["brightest"].value)


def test_a_number_alone_gets_its_error_from_counting() -> None:
    @scalarizer(unit="electrons")
    def left_half(electrons, reference):
        return electrons[:, :32].sum()

    sigmas = []
    for seed in range(40):
        pattern = numpy.random.default_rng(seed).poisson(disc(counts=1e5))
        sigmas.append(scalarize(pattern, REFERENCE, [left_half])["left_half"].sigma)
    assert numpy.mean(sigmas) == pytest.approx(math.sqrt(disc(counts=1e5)[:, :32].sum()), rel=0.1)


def test_a_function_cannot_spoil_the_pattern_for_others() -> None:
    @scalarizer()
    def greedy(electrons, reference):
        electrons[:] = 0
        return 0.0, 1.0

    found = scalarize(disc(), REFERENCE, [greedy, *SCALARIZERS.values()])
    assert found["entropy"].value == pytest.approx(scalarize(disc(), REFERENCE)["entropy"].value)


def test_a_changed_file_is_read_anew(file) -> None:
    catalogue(str(file))
    file.write_text(FILE.replace("electrons.max()", "electrons.min()"), encoding="utf-8")
    import os

    os.utime(file, (2e9, 2e9))
    assert scalarize(disc(), REFERENCE, [catalogue(str(file))["brightest"]])["brightest"].value == 0


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "There is no file .*mine.py of scalarizers: check its name"),
        ("1 +", r"mine.py cannot be run \(SyntaxError"),
        ("import nothing_like_this", r"mine.py cannot be run \(ModuleNotFoundError"),
        ("x = 1", "mine.py holds no scalarizer: mark a function in it with @scalarizer"),
        (FILE.replace("def total", "def com_x"), "There are two scalarizers named com_x: give yours another name"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_in_one_sentence(tmp_path, content, sentence) -> None:
    file = tmp_path / "mine.py"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=sentence):
        catalogue(str(file))


def test_installed_packages_offer_theirs(monkeypatch, caplog, tmp_path) -> None:
    """Through real metadata of a package; what cannot be used is left out, and the log says why."""
    clash = FILE.replace("def total", "def com_x")
    (tmp_path / "their_package.py").write_text(clash, encoding="utf-8")
    metadata = tmp_path / "theirs-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n", encoding="utf-8")
    (metadata / "entry_points.txt").write_text(
        "[dkl_ae.scalarizers]\nbrightest = their_package:brightest\ngone = their_package:gone\n"
        "clash = their_package:com_x\n"
        "plain = their_package:FILE_IS_NOT_THERE\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    installed.cache_clear()
    try:
        with caplog.at_level(logging.WARNING):
            assert "brightest" in catalogue()
            assert catalogue()["com_x"] is SCALARIZERS["com_x"]
        assert "The installed scalarizer gone cannot be loaded (AttributeError" in caplog.text
    finally:
        installed.cache_clear()


EXAMPLES = pathlib.Path(__file__).parents[2] / "docs" / "examples"


def test_the_worked_examples_work(monkeypatch) -> None:
    known = catalogue(str(EXAMPLES / "brightest_pixel.py"))
    found = scalarize(disc(), REFERENCE, known.values())
    assert found["brightest_pixel"].value == pytest.approx(disc().max())
    assert found["left_to_right"].sigma == pytest.approx(5e-4, rel=0.5)
    offered = tomllib.loads((EXAMPLES / "package" / "pyproject.toml").read_text(encoding="utf-8"))
    module, name = offered["project"]["entry-points"]["dkl_ae.scalarizers"]["sharpest_edge"].split(":")
    monkeypatch.syspath_prepend(str(EXAMPLES / "package"))
    edge = getattr(importlib.import_module(module), name)
    assert scalarize(disc(), REFERENCE, [edge])["sharpest_edge"].value > 0.9 * disc().max()


def test_a_scalarizer_object_that_fails_costs_only_its_reading() -> None:
    def fail(patterns):
        raise KeyError("gone")

    broken = dataclasses.replace(SCALARIZERS["bf"], name="broken", evaluate=fail)
    found = scalarize(disc(), REFERENCE, [broken, SCALARIZERS["bf"]])
    assert found["broken"].reason == "broken failed (KeyError: 'gone'): this is a fault of the program, see the log."
    assert math.isfinite(found["bf"].value)


@pytest.mark.parametrize(
    ("source_file", "advice"),
    [
        ("", "this is a fault of the program, see the log."),
        ("/somewhere/mine.py", "fix it in mine.py."),
    ],
)
def test_what_fails_says_whose_fault_it_is_and_is_logged_once_with_its_traceback(caplog, source_file, advice) -> None:
    def fail(patterns):
        return numpy.zeros(2) + numpy.zeros(3)

    name = f"misshapen_{bool(source_file)}"
    broken = dataclasses.replace(SCALARIZERS["bf"], name=name, evaluate=fail, source_file=source_file)
    for _ in range(3):
        reason = scalarize(disc(), REFERENCE, [broken])[name].reason
    assert reason.startswith(f"{name} failed (ValueError: operands could not be broadcast together")
    assert reason.endswith(advice)
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.exc_info is not None
    assert record.exc_info[0] is ValueError


def test_a_users_function_that_fails_for_a_stack_is_logged_once(caplog) -> None:
    @scalarizer()
    def misshapen(electrons, reference):
        return electrons[:2] + electrons[:3]

    stack = Patterns(numpy.stack([disc()] * 20), REFERENCE)
    reasons = read(misshapen, stack).reasons
    assert len(reasons) == 20
    assert all(reason.endswith(f"fix it in {pathlib.Path(__file__).name}.") for reason in reasons.values())
    assert len(caplog.records) == 1
    assert caplog.records[0].exc_info is not None


def test_what_a_users_scalarizer_says_to_the_user_is_shown_as_it_is(caplog) -> None:
    @scalarizer()
    def choosy(electrons, reference):
        raise UserError("The disc is too small: use a larger aperture.")

    assert scalarize(disc(), REFERENCE, [choosy])["choosy"].reason == "The disc is too small: use a larger aperture."
    assert not caplog.records


def test_a_part_of_an_expression_that_fails_is_named() -> None:
    def fail(patterns):
        raise KeyError("gone")

    known = {"broken": dataclasses.replace(SCALARIZERS["bf"], name="broken", evaluate=fail, source_file="mine.py")}
    composed = composite("2 * broken", known)
    reason = scalarize(disc(), REFERENCE, [composed])["composite"].reason
    assert reason == "broken failed (KeyError: 'gone'): fix it in mine.py."


def test_a_number_without_an_error_is_no_reading() -> None:
    @scalarizer()
    def unsure(electrons, reference):
        return 1.0, math.nan

    found = scalarize(disc(), REFERENCE, [unsure])["unsure"]
    assert math.isnan(found.value)
    assert found.reason


def test_a_file_may_define_dataclasses(tmp_path) -> None:
    own = tmp_path / "mine.py"
    own.write_text(
        "from __future__ import annotations\nimport dataclasses\n\n\n@dataclasses.dataclass\nclass A:\n    x: int = 1\n"
        + FILE,
        encoding="utf-8",
    )
    assert "brightest" in catalogue(str(own))


def test_the_name_of_the_maps_reference_is_taken(tmp_path) -> None:
    own = tmp_path / "mine.py"
    own.write_text(FILE.replace("def total", "def reference"), encoding="utf-8")
    with pytest.raises(ValueError, match="There are two scalarizers named reference"):
        catalogue(str(own))

"""The options of a command that carries out a plan: one for each setting, named like it."""

from __future__ import annotations

import argparse
import pathlib
import typing

from dkl_ae.commands.terminal import Terminal
from dkl_ae.records import UserError, centred_size
from dkl_ae.settings import FILE, REFERENCES, REGION, SETTINGS, VALUE, Plan, Setting, make_plan, to_text

_TITLES: typing.Final = {
    "objective": "objective",
    "search": "search",
    "model": "model",
    "exposure": "exposure",
    "reference": "reference",
    "detector": "detector",
}
"""Of the groups of options; the devices are Swift's."""

_SHORT: typing.Final = {
    "patch_size": "--patch",
    "seed_points": "--seeds",
    "model_points": "--steps",
    "acquisition_parameter": "--parameter",
    "batch_size": "--batch",
    "kernel_input": "--model",
    "pretrained": "--start-from",
    "compute_device": "--device",
    "reference_region": "--region",
    "detector_rotation_deg": "--rotation",
}
"""Shorter names that are taken too."""

_ACQUISITIONS: typing.Final = {
    "ei": "expected_improvement",
    "ei-observed": "expected_improvement_observed",
    "pi": "probability_of_improvement",
    "ucb": "upper_confidence_bound",
    "uncertainty": "maximum_uncertainty",
}
"""Short names of acquisition functions; the library's own are taken too."""


def add_plan_options(parser: argparse.ArgumentParser) -> None:
    """What is left out has the plan's default."""
    for group, title in _TITLES.items():
        arguments = parser.add_argument_group(title, argument_default=argparse.SUPPRESS)
        for known in SETTINGS.values():
            if known.group == group:
                _add(arguments, known)
    arguments.add_argument(
        "--mask", type=float, nargs=2, metavar=("INNER", "OUTER"), help="both radii of the mask at once"
    )


def _add(arguments: typing.Any, known: Setting) -> None:
    names = [f"--{known.key.replace('_', '-')}"]
    if known.key in _SHORT:
        names.append(_SHORT[known.key])
    text = known.help.replace("%", "%%")
    if known.kind is bool:
        arguments.add_argument(*names, dest=known.key, action="store_true", help=text)
        return
    usual = to_text(known.default) or "none"
    choices = f" One of {', '.join(known.choices)}." if known.choices is not None else ""
    unit = known.unit.replace(" ", "-").upper()
    kinds = {int: "N", float: "NUMBER", str: "FILE" if known.is_file else "TEXT"}
    arguments.add_argument(
        *names,
        dest=known.key,
        type=_reader(known),
        metavar=unit or kinds[known.kind],
        help=f"{text}{choices} ({usual})",
    )


def _reader(known: Setting) -> typing.Callable[[str], typing.Any]:
    def read(text: str) -> typing.Any:
        try:
            return absolute(text) if known.is_file and text else known.read(text)
        except UserError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return read


def absolute(name: str) -> str:
    """A run that goes on elsewhere finds the file again."""
    return str(pathlib.Path(name).absolute())


def plan_from(options: argparse.Namespace, terminal: Terminal) -> Plan:
    """The plan that the options ask for.

    Raises UserError, one sentence, for settings that cannot work.
    """
    from dkl_ae.experiment import ACQUISITIONS

    given = vars(options)
    values = {key: given[key] for key in SETTINGS if key in given}
    if "patch_size" in values and values["patch_size"] != (size := centred_size(values["patch_size"])):
        terminal.say(f"A patch of {values['patch_size']} px has no central pixel: {size} px are taken.")
        values["patch_size"] = size
    if "acquisition" in values:
        name = values["acquisition"] = _ACQUISITIONS.get(values["acquisition"], values["acquisition"])
        if name in ACQUISITIONS:
            values.setdefault("acquisition_parameter", ACQUISITIONS[name].default)
    if "goal_value" in values:
        values.setdefault("goal", VALUE)
    if "mask" in given:
        values["mask_inner"], values["mask_outer"] = options.mask
    if "reference_region" in values:
        values["reference"] = REGION
    elif "reference_file" in values:
        values["reference"] = FILE
    elif values.get("reference", FILE) not in REFERENCES:
        values |= {"reference": FILE, "reference_file": absolute(values["reference"])}
    return make_plan(**values)

"""Options of the commands that read a recorded 4D-STEM set: of its file, its reference and its readings."""

from __future__ import annotations

import argparse
import pathlib
import typing

from dkl_ae.commands.terminal import named_file
from dkl_ae.records import DEFAULT_CROSS_ARM_NM, DEFAULT_ELECTRONS

if typing.TYPE_CHECKING:
    from dkl_ae.analysis import Request

# The libraries that these options are for take long to import: their names and numbers are repeated here, and tested.


def add_file(parser: argparse.ArgumentParser) -> None:
    """The recording itself, and the image of its scan where it is in another file."""
    parser.add_argument(
        "file",
        type=named_file,
        metavar="FILE",
        help="recorded set: .hspy, .zspy, .emd, .h5, .hdf5, .dm3, .dm4, .mib, .raw, .xml, .blo, .ndata, .npy, ...",
    )
    parser.add_argument("--survey", type=named_file, metavar="FILE", help="image of the same scan, in another file")


def add_calibration(parser: argparse.ArgumentParser) -> None:
    """What a file may not tell of itself."""
    calibration = parser.add_argument_group("calibration, where the file does not tell")
    calibration.add_argument("--scan-shape", type=int, nargs=2, metavar=("ROWS", "COLUMNS"), help="of a stack")
    calibration.add_argument("--nm-per-pixel", type=float, metavar="NM", help="of the scan")
    calibration.add_argument("--mrad-per-pixel", type=float, metavar="MRAD", help="of the detector")
    calibration.add_argument(
        "--beam-energy-kev", type=float, metavar="KEV", help="makes angles of a detector's pixels in 1/nm"
    )
    calibration.add_argument("--counts-per-electron", type=float, default=1.0, metavar="COUNTS", help="(default: 1)")
    calibration.add_argument(
        "--electrons",
        type=float,
        default=DEFAULT_ELECTRONS,
        help="of a pattern, for a simulation without noise (default: 1.87e6, 30 pA for 10 ms)",
    )


def add_reference(parser: argparse.ArgumentParser) -> None:
    """Where the beam is taken for undeflected, and what is known of the camera."""
    reference = parser.add_argument_group("reference")
    reference.add_argument(
        "--reference",
        default="automatic",
        metavar="SOURCE",
        help="vacuum (the set's own pattern), darkest (places of the survey), mean, or a file: a saved reference "
        "(.npz) or a vacuum pattern (.npy); by default the first of the three that there is",
    )
    reference.add_argument(
        "--region",
        default="",
        metavar="T,L,H,W",
        help="top, left, height and width of vacuum, as fractions of the scan",
    )
    reference.add_argument(
        "--mask",
        type=float,
        nargs=2,
        default=(0.0, 1.1),
        metavar=("INNER", "OUTER"),
        help="ring of the centre of mass, in disc radii (0 1.1); inf for the whole detector",
    )
    reference.add_argument("--descan", default="none", choices=("none", "plane", "quadratic"))
    detector = parser.add_argument_group("detector")
    detector.add_argument(
        "--rotation", type=float, default=0.0, metavar="DEG", help="to the scan's axes, from +x to +y"
    )
    detector.add_argument("--flip-x", action="store_true", help="the detector's x axis is reversed")
    detector.add_argument("--ellipticity", type=float, default=1.0, help="long over short axis of a circle (1)")
    detector.add_argument("--long-axis", type=float, default=0.0, metavar="DEG", help="its direction, from +x to +y")
    detector.add_argument("--dark", default="", metavar="FILE", help="counts without a beam (.npy)")
    detector.add_argument("--bad-pixels", default="", metavar="FILE", help="not zero where a pixel is bad (.npy)")
    detector.add_argument("--saturation", type=float, metavar="COUNTS", help="of a full pixel")
    detector.add_argument("--threshold", type=float, metavar="COUNTS", help="fewer are read as none")


def add_readings(parser: argparse.ArgumentParser) -> None:
    """What is read beside the readings that there are."""
    readings = parser.add_argument_group("readings")
    readings.add_argument(
        "--cross-arm-nm",
        type=float,
        default=DEFAULT_CROSS_ARM_NM,
        metavar="NM",
        help=f"of the charge density's cross ({DEFAULT_CROSS_ARM_NM:g})",
    )
    readings.add_argument("--expression", default="", help="gives the reading composite, such as 'com_magnitude / abf'")
    readings.add_argument(
        "--scalarizer-file", default="", metavar="FILE", help="Python file with scalarizers of your own"
    )


def request_from(options: argparse.Namespace) -> Request:
    """What all options of this module ask for, and `--scalarizer`.

    Raises UserError, one sentence, for what cannot be.
    """
    from dkl_ae.analysis import Request
    from dkl_ae.patterns import DetectorGeometry
    from dkl_ae.recordings import ReferenceChoice

    return Request(
        file=options.file.absolute(),
        scalarizers=tuple(options.scalarizers),
        survey_file=options.survey and options.survey.absolute(),
        scan_shape=options.scan_shape and tuple(options.scan_shape),
        nm_per_pixel=options.nm_per_pixel,
        mrad_per_pixel=options.mrad_per_pixel,
        beam_energy_kev=options.beam_energy_kev,
        electrons=options.electrons,
        reference=ReferenceChoice(
            source=options.reference,
            region=options.region,
            mask_inner=options.mask[0],
            mask_radius=options.mask[1],
            geometry=DetectorGeometry(options.rotation, options.flip_x, options.ellipticity, options.long_axis),
            descan=options.descan,
            dark_file=options.dark,
            bad_pixels_file=options.bad_pixels,
            saturation=options.saturation,
            threshold=options.threshold,
            counts_per_electron=options.counts_per_electron,
        ),
        arm_nm=options.cross_arm_nm,
        scalarizer_file=options.scalarizer_file and str(pathlib.Path(options.scalarizer_file).absolute()),
        expression=options.expression,
    )

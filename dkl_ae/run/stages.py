"""What a run does before its points: it looks at what it needs, and acquires the survey and the reference."""

from __future__ import annotations

import math
import pathlib
import typing

import numpy

from dkl_ae.experiment import patches_for, require_room
from dkl_ae.instruments import Frame, SurveySize
from dkl_ae.patterns import Reference, load_reference
from dkl_ae.records import MendableError, Survey, UserError
from dkl_ae.run.events import ReferenceFound
from dkl_ae.run.exposing import Exposing
from dkl_ae.run.frame_checks import require_same_size
from dkl_ae.run.recording import Recording
from dkl_ae.run.reference_exposures import geometry_of, reference_from, reference_pixels
from dkl_ae.scalarizers import Scalarizer
from dkl_ae.settings import FILE, GPU, Plan

if typing.TYPE_CHECKING:
    from dkl_ae.model.saved_model import SavedModel


def load_inputs(plan: Plan) -> SavedModel | None:
    """The saved model to start from, if there is one; raises UserError for a file that cannot be used.

    All of a plan's files are looked at, before anything is exposed.
    """
    if plan.reference.source == FILE:
        # The camera's calibration is not known yet, but whether the file can be read is.
        load_reference(pathlib.Path(plan.reference.file), (1.0, 1.0), 1.0)
    if not plan.model.pretrained:
        return None
    # torch takes seconds to import.
    from dkl_ae.model.saved_model import SavedModel

    saved = SavedModel.load(pathlib.Path(plan.model.pretrained))
    saved.require_scalarizer(plan.objective.scalarizer, plan.search.patch_size)
    return saved


def require_device(plan: Plan) -> None:
    """Raises UserError when the model is to be trained on what this computer has not."""
    if plan.model.compute_device == GPU:
        # torch takes seconds to import.
        from dkl_ae.model.deep_kernel import choose_device

        choose_device(plan.model.compute_device)


def require_room_on(size: SurveySize, plan: Plan, scalarizer: Scalarizer, saved_model: SavedModel | None) -> None:
    """Raises UserError when a survey of this size has no room for the plan.

    scalarizer: the one that is optimized.
    """
    survey = any_survey(size)
    if saved_model is not None:
        saved_model.require_pixel_size(survey.pixel_size_nm)
    require_room_for_cross(plan, scalarizer, survey)
    require_room(plan, patches_for(plan, survey))
    reference_pixels(survey, plan)


def any_survey(size: SurveySize) -> Survey:
    """One of this size; what it shows does not matter, as long as it is no even grey."""
    return Survey(numpy.arange(math.prod(size.shape), dtype=numpy.float64).reshape(size.shape), size.pixel_size_nm)


def acquire_reference(plan: Plan, survey: Survey, exposing: Exposing, recording: Recording) -> ReferenceFound:
    """Expose the pixels where the beam is taken for undeflected; again where the operator had to mend something."""
    frames: list[Frame] = []
    pixels = [survey.position(int(row), int(column)) for row, column in reference_pixels(survey, plan)]
    while len(frames) < len(pixels):
        recording.wait_while_paused()
        try:
            frames.append(exposing.pattern(pixels[len(frames)], survey))
        except MendableError as error:
            recording.hold(error)
        else:
            require_same_size(frames[-1], frames[0])
    reference = reference_from(frames, plan)
    pattern = numpy.stack([frame.pattern for frame in frames]).mean(axis=0, dtype=numpy.float64)
    return ReferenceFound(reference, pattern, tuple(frames), exposing.dose)


def load_reference_for(plan: Plan, frame: Frame, exposing: Exposing) -> ReferenceFound:
    """The reference of a file, once a first pattern has told the camera's calibration."""
    reference: Reference = load_reference(
        pathlib.Path(plan.reference.file),
        frame.mrad_per_pixel,
        frame.counts_per_electron,
        geometry_of(plan),
        (plan.detector.mask_inner, plan.detector.mask_outer),
    )
    pattern = reference.pattern if reference.pattern is not None else numpy.zeros(reference.shape)
    return ReferenceFound(reference, pattern * reference.counts_per_electron, (), exposing.dose)


def require_room_for_cross(plan: Plan, scalarizer: Scalarizer, survey: Survey) -> None:
    """Raises UserError when the ends of a cross would leave the survey."""
    margin_nm = plan.search.patch_size / 2 * survey.pixel_size_nm
    arm_nm = plan.exposure.cross_arm_nm
    if scalarizer.needs_cross and arm_nm > margin_nm:
        raise UserError(
            f"The cross's arm of {arm_nm:g} nm would leave the survey: positions keep {margin_nm:.3g} nm from its edge "
            f"with a patch of {plan.search.patch_size} px; choose a shorter arm or a larger patch."
        )

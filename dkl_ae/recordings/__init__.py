"""Recorded 4D-STEM files as arrays."""

from dkl_ae.recordings.chunks import Chunk, chunks_of
from dkl_ae.recordings.parts import files_of
from dkl_ae.recordings.recording import Recording, open_recording
from dkl_ae.recordings.reference_choice import ReferenceChoice, recorded_reference
from dkl_ae.recordings.survey_of_patterns import virtual_survey

__all__ = [
    "Chunk",
    "Recording",
    "ReferenceChoice",
    "chunks_of",
    "files_of",
    "open_recording",
    "recorded_reference",
    "virtual_survey",
]

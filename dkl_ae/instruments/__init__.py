"""What a run needs of a microscope, and instruments without one: a simulated column, a recording."""

from dkl_ae.instruments.instrument import Frame, Instrument, SurveySize
from dkl_ae.instruments.replay import Replay, replay_of

__all__ = ["Frame", "Instrument", "Replay", "SurveySize", "replay_of"]

"""Nion Swift as a program around the plug-in: with a ready project, in its window or without one."""

from dkl_ae.records import UserError


class ProgramError(UserError):
    """What was asked for cannot be done; the message is one sentence for the user."""

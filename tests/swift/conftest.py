"""Nion Swift in this process, without a window, around a simulated microscope."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.swift_in_process import opened_panels, simulated_microscope


@pytest.fixture
def simulator(tmp_path) -> Iterator[Any]:
    """Swift with this project's simulated 4D-STEM microscope."""
    with simulated_microscope(tmp_path) as context:
        yield context


@pytest.fixture
def nion_simulator(tmp_path, monkeypatch) -> Iterator[Any]:
    """Swift with Nion's own simulated microscope, its camera binned to be quick."""
    from nion.instrumentation.test import AcquisitionTestContext
    from nion.usim_device import DeviceConfiguration

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pathlib.Path, "home", lambda: tmp_path)
    configuration = DeviceConfiguration.AcquisitionContextConfiguration(sample_index=0)
    with AcquisitionTestContext.AcquisitionTestContext(configuration, is_app=True) as context:
        camera = context.camera_hardware_source
        parameters = camera.get_current_frame_parameters()
        parameters.binning = 8
        camera.set_current_frame_parameters(parameters)
        yield context


@pytest.fixture
def open_panel() -> Iterator[Callable[..., Any]]:
    """Opens the panel of a context, with settings; returns its handler. Closed at the end."""
    with opened_panels() as opened:
        yield opened

"""Nion Swift in this process, without a window, around a simulated microscope."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest


@pytest.fixture
def simulator(tmp_path, monkeypatch) -> Iterator[Any]:
    """Swift with this project's simulated 4D-STEM microscope."""
    from nion.instrumentation.test import AcquisitionTestContext

    from nionswift_plugin.dkl_ae_usim.configuration import MicroscopeConfiguration

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pathlib.Path, "home", lambda: tmp_path)
    configuration = MicroscopeConfiguration(configuration_location=str(tmp_path))
    with AcquisitionTestContext.AcquisitionTestContext(configuration, is_app=True) as context:
        # A small survey, to be quick.
        parameters = context.scan_hardware_source.get_current_frame_parameters()
        parameters.pixel_size, parameters.pixel_time_us = (64, 64), 20
        context.scan_hardware_source.set_current_frame_parameters(parameters)
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
    from nionswift_plugin.dkl_ae_ui.run_panel import PANEL

    panels = []

    def make(context: Any, **texts: str) -> Any:
        panel = PANEL.open(context.document_controller)
        panels.append(panel)
        for name, text in {"seed_points": "3", "model_points": "3", "patch_size": "9", **texts}.items():
            panel.handler.set_text(name, text)
        return panel.handler

    yield make
    for panel in panels:
        if panel.widget:
            panel.close()

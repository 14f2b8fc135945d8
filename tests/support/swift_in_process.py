"""Nion Swift in this process: the test is its window's thread, and the user of its microscope."""

from __future__ import annotations

import concurrent.futures
import contextlib
import functools
import gc
import importlib
import pathlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy
import pytest
from nion.swift import Thumbnails
from nion.utils import Geometry

SHORTLY_S = 0.01
"""How long the other threads have between two looks."""


@contextlib.contextmanager
def simulated_microscope(folder: pathlib.Path) -> Iterator[Any]:
    """Swift with this project's simulated 4D-STEM microscope, at home in a folder."""
    from nion.instrumentation.test import AcquisitionTestContext

    from nionswift_plugin.dkl_ae_usim.configuration import MicroscopeConfiguration

    _set_modules_aside()
    configuration = MicroscopeConfiguration(configuration_location=str(folder))
    with pytest.MonkeyPatch.context() as patch:
        # Nobody sees Swift's own small pictures of every item here; the tests of the window do.
        patch.setattr(Thumbnails.ThumbnailSource, "recompute_data", lambda source: None)
        patch.chdir(folder)
        patch.setattr(pathlib.Path, "home", lambda: folder)
        with AcquisitionTestContext.AcquisitionTestContext(configuration, is_app=True) as context:
            # A small survey, to be quick.
            parameters = context.scan_hardware_source.get_current_frame_parameters()
            parameters.pixel_size, parameters.pixel_time_us = (64, 64), 20
            context.scan_hardware_source.set_current_frame_parameters(parameters)
            yield context


@functools.cache
def _set_modules_aside() -> None:
    """Swift collects garbage whenever it closes: what lives to the end is gone through once."""
    importlib.import_module("gpytorch")
    gc.collect()
    gc.freeze()


@contextlib.contextmanager
def opened_panels() -> Iterator[Callable[..., Any]]:
    """Opens the panel of a context, with settings; returns its handler. Closed at the end."""
    from nionswift_plugin.dkl_ae_ui.run_panel import PANEL

    panels = []

    def make(context: Any, **texts: str) -> Any:
        panel = PANEL.open(context.document_controller)
        panels.append(panel)
        for name, text in {"seed_points": "3", "model_points": "3", "patch_size": "9", **texts}.items():
            panel.handler.set_text(name, text)
        return panel.handler

    try:
        yield make
    finally:
        for panel in panels:
            if panel.widget:
                panel.close()


def pump(context: Any, until: Callable[[], bool], timeout_s: float = 60.0) -> None:
    """Be the window's thread until something has happened."""
    assert happens(context, until, timeout_s), "it did not happen in time"


def happens(context: Any, what: Callable[[], bool], within_s: float) -> bool:
    """Be the window's thread until something has happened, or the time is over; whether it has."""
    deadline = time.monotonic() + within_s
    while not what():
        if time.monotonic() > deadline:
            return False
        context.document_controller.periodic()
        time.sleep(SHORTLY_S)
    return True


def in_thread(context: Any, function: Callable[[], Any], timeout_s: float = 60.0) -> Any:
    """Run in a worker while this thread is the window's."""
    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        future = executor.submit(function)
        pump(context, future.done, timeout_s)
    return future.result()


def survey(context: Any, **changes: Any) -> numpy.ndarray:
    """Record a survey, and make it what probe positions refer to."""
    parameters = context.scan_hardware_source.get_frame_parameters(0)
    for name, value in changes.items():
        setattr(parameters, name, value)
    context.scan_hardware_source.set_current_frame_parameters(parameters)
    frames = in_thread(context, lambda: context.scan_hardware_source.record_immediate(parameters))
    return frames[0].data.copy()


def record(context: Any, exposure_ms: float = 1) -> Any:
    """Expose one pattern at the parked probe, once the camera is free."""
    camera = context.camera_hardware_source
    pump(context, lambda: not camera.is_recording)
    parameters = camera.get_frame_parameters(0)
    parameters.exposure_ms = exposure_ms
    task = camera.start_recording(frame_parameters=parameters)
    return in_thread(context, lambda: task.grab_xdatas(timeout=60))[0]


def pattern_at(context: Any, y: float, x: float, exposure_ms: float = 1) -> numpy.ndarray:
    context.instrument.set_probe_position(Geometry.FloatPoint(y=y, x=x))
    return record(context, exposure_ms).data.astype(float)

"""Constants and scattering factors against published values."""

from __future__ import annotations

import numpy
import pytest

from dkl_ae.records import relativistic_mass_ratio
from dkl_ae.records import wavelength_angstrom as wavelength
from dkl_ae.simulation.scattering_factors import has_scattering_factor, scattering_factor


def test_constants_of_fast_electrons() -> None:
    """Kirkland, Advanced Computing in Electron Microscopy: values from its equations 2.5 and 5.6."""
    assert wavelength(70e3) == pytest.approx(0.04484, abs=1e-5)
    assert wavelength(200e3) == pytest.approx(0.02508, abs=1e-5)
    assert relativistic_mass_ratio(70e3) == pytest.approx(1.13698, abs=1e-4)


@pytest.mark.parametrize("number", [1, 6, 14, 16, 25, 79])
def test_scattering_factor_obeys_mott_and_bethe_at_high_angles(number: int) -> None:
    """Far out only the nucleus scatters: f_e(k) = Z / (2 pi^2 a0 k^2), a0 the Bohr radius."""
    k = numpy.array([15.0])
    expected = number / (2 * numpy.pi**2 * 0.529177 * k**2)
    numpy.testing.assert_allclose(scattering_factor(number, k), expected, rtol=0.05)


def test_every_element_up_to_lawrencium_is_known() -> None:
    k = numpy.linspace(0, 6, 50)
    for number in range(1, 104):
        assert has_scattering_factor(number)
        factor = scattering_factor(number, k)
        assert (factor > 0).all()
        assert (numpy.diff(factor) < 0).all()
    assert not has_scattering_factor(0)
    assert not has_scattering_factor(104)

"""What stands in the panel's settings: what is chosen, what is typed, and what there is to choose from."""

from __future__ import annotations

from collections.abc import Mapping

from nion.utils import Model

from dkl_ae.experiment import ACQUISITIONS
from dkl_ae.scalarizers import Scalarizer, catalogue
from dkl_ae.settings import SETTINGS, Setting
from nionswift_plugin.dkl_ae_ui import microscope
from nionswift_plugin.dkl_ae_ui.run_panel.settings import default_parameter

_FLIPPED = {str(False): "No", str(True): "Yes"}
_DEVICES = ("instrument_id", "camera_id", "channel")
"""Chosen from what Swift has at the moment."""


def is_choice(known: Setting) -> bool:
    """Whether a setting is chosen from a list rather than typed."""
    return known.choices is not None or known.kind is bool or known.key in ("scalarizer", "acquisition", *_DEVICES)


class Choice:
    """A combo box over keys of the settings; the user sees a label for each."""

    def __init__(self, options: Mapping[str, str], key: str) -> None:
        self._options = dict(options)
        self.labels = Model.PropertyModel[list[str]](list(options.values()))
        self.index = Model.PropertyModel[int](0)
        self.key = key

    @property
    def key(self) -> str:
        keys = list(self._options)
        index = self.index.value or 0
        return keys[index] if 0 <= index < len(keys) else ""

    @key.setter
    def key(self, key: str) -> None:
        self.index.value = list(self._options).index(key) if key in self._options else 0

    def offer(self, options: Mapping[str, str]) -> None:
        """Offer other options, keeping what is chosen where it is still offered."""
        if list(options.items()) == list(self._options.items()):
            return
        key = self.key
        self._options = dict(options)
        self.labels.value = list(options.values())
        self.key = key


class Form:
    """The settings as the panel's widgets show them.

    texts: what to show first, by the settings' keys.
    """

    def __init__(self, texts: Mapping[str, str]) -> None:
        self.scalarizers: Mapping[str, Scalarizer] = catalogue(texts["scalarizer_file"], texts["expression"])
        """Those that are offered."""
        self.choices = {
            key: Choice(self._options(known), texts[key]) for key, known in SETTINGS.items() if is_choice(known)
        }
        edited = [key for key, known in SETTINGS.items() if not is_choice(known)]
        self.edits = {key: Model.PropertyModel[str](texts[key]) for key in edited}
        # What stands in each line edit. Writing it back to the edit at each key would select what was typed.
        self._typed = {key: texts[key] for key in edited}
        self.acquisition_tip = Model.PropertyModel[str]("")
        self.scalarizer_tip = Model.PropertyModel[str]("")
        self._explain()
        self.offer_microscopes(texts)

    def texts(self) -> dict[str, str]:
        """Every setting's text, by its key."""
        texts = {key: choice.key for key, choice in self.choices.items()}
        texts["channel"] = texts["channel"] or "0"
        return texts | self._typed

    def set_text(self, key: str, text: str) -> None:
        """As if the user had chosen or typed it."""
        if key in self.choices:
            self.choices[key].key = text
            self._follow(key)
        else:
            self._typed[key] = text
            self.edits[key].value = text

    def choose(self, key: str, index: int) -> None:
        """The user has chosen."""
        self.choices[key].index.value = index
        self._follow(key)

    def type(self, key: str, text: str) -> None:
        """The user is typing."""
        self._typed[key] = text

    def offer_scalarizers(self) -> None:
        """Those of the file and the expression that are typed.

        Raises UserError while these cannot be used; those that were offered still are then.
        """
        self.scalarizers = catalogue(self._typed["scalarizer_file"], self._typed["expression"])
        self.choices["scalarizer"].offer(_titles(self.scalarizers))
        self._explain()

    def offer_microscopes(self, texts: Mapping[str, str]) -> None:
        stems = microscope.instruments()
        choice = self.choices["instrument_id"]
        choice.offer({microscope.identifier(stem): microscope.identifier(stem) for stem in stems})
        if not choice.key or texts.get("instrument_id"):
            choice.key = texts.get("instrument_id", "")
        self._offer_devices(texts)

    def _options(self, known: Setting) -> Mapping[str, str]:
        if known.key == "scalarizer":
            return _titles(self.scalarizers)
        if known.key == "acquisition":
            return {name: acquisition.label for name, acquisition in ACQUISITIONS.items()}
        if known.kind is bool:
            return _FLIPPED
        return known.choices or {}

    def _follow(self, key: str) -> None:
        """Bring along what depends on a choice."""
        if key == "instrument_id":
            self._offer_devices({})
        if key == "acquisition":
            self.set_text("acquisition_parameter", default_parameter(self.choices["acquisition"].key))
        self._explain()

    def _explain(self) -> None:
        self.scalarizer_tip.value = self.scalarizers[self.choices["scalarizer"].key].description
        self.acquisition_tip.value = ACQUISITIONS[self.choices["acquisition"].key].tool_tip

    def _offer_devices(self, texts: Mapping[str, str]) -> None:
        key = self.choices["instrument_id"].key
        stem = next((s for s in microscope.instruments() if microscope.identifier(s) == key), None)
        cameras = microscope.cameras_of(stem) if stem else []
        scan = microscope.scan_of(stem) if stem else None
        channels = range(scan.channel_count) if scan else range(0)
        offers: dict[str, dict[str, str]] = {
            "camera_id": {c.hardware_source_id: c.display_name for c in cameras},
            "channel": {str(i): scan.get_channel_state(i).name or str(i) for i in channels if scan},
        }
        for name, options in offers.items():
            self.choices[name].offer(options)
            if texts.get(name):
                self.choices[name].key = texts[name]


def _titles(known: Mapping[str, Scalarizer]) -> dict[str, str]:
    """Swift's combo box tells items apart by their text alone: the same title twice gets the name too."""
    titles = [scalarizer.title for scalarizer in known.values()]
    return {
        name: title if titles.count(title) == 1 else f"{title}, {name}"
        for name, title in zip(known, titles, strict=True)
    }

"""What stands in the panel's settings: what is chosen, what is typed, and what there is to choose from."""

from __future__ import annotations

from collections.abc import Mapping

from nion.utils import Model

from dkl_ae.experiment import ACQUISITIONS
from dkl_ae.records import UserError
from dkl_ae.scalarizers import Scalarizer, catalogue
from nionswift_plugin.dkl_ae_ui import microscope
from nionswift_plugin.dkl_ae_ui.run_panel.settings import (
    DESCAN_LABELS,
    DEVICE_LABELS,
    EMBEDDING_LABELS,
    GOALS,
    MIRRORED_LABELS,
    NUMBER_FIELDS,
    REFERENCE_LABELS,
    SURVEY_SOURCES,
    TEXT_FIELDS,
    default_parameter,
)


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

    texts: what to show first, by the settings' names.
    """

    def __init__(self, texts: Mapping[str, str]) -> None:
        known = catalogue(texts["scalarizer_file"], texts["expression"])
        self.choices = {
            "instrument_id": Choice({}, ""),
            "camera_id": Choice({}, ""),
            "channel": Choice({}, ""),
            "survey_source": Choice(SURVEY_SOURCES, texts["survey_source"]),
            "scalarizer": Choice(_titles(known), texts["scalarizer"]),
            "goal": Choice(GOALS, texts["goal"]),
            "acquisition": Choice({a.name: a.label for a in ACQUISITIONS.values()}, texts["acquisition"]),
            "embedding": Choice(EMBEDDING_LABELS, texts["embedding"]),
            "device": Choice(DEVICE_LABELS, texts["device"]),
            "reference": Choice(REFERENCE_LABELS, texts["reference"]),
            "descan": Choice(DESCAN_LABELS, texts["descan"]),
            "detector_mirrored": Choice(MIRRORED_LABELS, texts["detector_mirrored"]),
        }
        edited = [*(field.name for field in NUMBER_FIELDS), *TEXT_FIELDS]
        self.edits = {name: Model.PropertyModel[str](texts[name]) for name in edited}
        # What stands in each line edit. Writing it back to the edit at each key would select what was typed.
        self._typed = {name: texts[name] for name in edited}
        self.acquisition_tip = Model.PropertyModel[str]("")
        self.scalarizer_tip = Model.PropertyModel[str]("")
        self._known = known
        self._explain()
        self.offer_microscopes(texts)

    def texts(self) -> dict[str, str]:
        """Every setting's text, by its name."""
        texts = {name: choice.key for name, choice in self.choices.items()}
        texts["channel"] = texts["channel"] or "0"
        return texts | self._typed

    def set_text(self, name: str, text: str) -> None:
        """As if the user had chosen or typed it."""
        if name in self.choices:
            self.choices[name].key = text
            self._follow(name)
        else:
            self._typed[name] = text
            self.edits[name].value = text

    def choose(self, name: str, index: int) -> None:
        """The user has chosen."""
        self.choices[name].index.value = index
        self._follow(name)

    def type(self, name: str, text: str) -> None:
        """The user is typing."""
        self._typed[name] = text

    def offer_scalarizers(self) -> None:
        """Those of the file and the expression that are typed; while these cannot be used, those that were offered."""
        try:
            self._known = catalogue(self._typed["scalarizer_file"], self._typed["expression"])
        except UserError:
            return
        self.choices["scalarizer"].offer(_titles(self._known))
        self._explain()

    def offer_microscopes(self, texts: Mapping[str, str]) -> None:
        stems = microscope.instruments()
        choice = self.choices["instrument_id"]
        choice.offer({microscope.identifier(stem): microscope.identifier(stem) for stem in stems})
        if not choice.key or texts.get("instrument_id"):
            choice.key = texts.get("instrument_id", "")
        self._offer_devices(texts)

    def _follow(self, name: str) -> None:
        """Bring along what depends on a choice."""
        if name == "instrument_id":
            self._offer_devices({})
        if name == "acquisition":
            self.set_text("acquisition_parameter", default_parameter(self.choices["acquisition"].key))
        self._explain()

    def _explain(self) -> None:
        self.scalarizer_tip.value = self._known[self.choices["scalarizer"].key].description
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

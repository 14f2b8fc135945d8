"""A folder with a Swift project and a profile of its own, so that Swift opens it without asking anything."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import uuid

from dkl_ae.outputs import finished_file


@dataclasses.dataclass(frozen=True)
class Project:
    """A Swift project on disk."""

    folder: pathlib.Path
    """Holds the project and the profile that remembers it."""
    name: str

    @property
    def file(self) -> pathlib.Path:
        return self.folder / f"{self.name}.nsproj"

    @property
    def data_folder(self) -> pathlib.Path:
        return self.folder / f"{self.name} Data"

    @property
    def profile_file(self) -> pathlib.Path:
        return self.folder / "Profile.nsproj"


def ensure_project(folder: pathlib.Path, name: str = "Automated Experiment") -> Project:
    """The project in this folder, made when it is not there yet; the user's own profile is not touched.

    Raises OSError when the folder cannot be written.
    """
    project = Project(folder.resolve(), name)
    project.data_folder.mkdir(parents=True, exist_ok=True)
    if not project.file.exists():
        _write(
            project.file,
            {
                "version": 3,
                "uuid": str(uuid.uuid4()),
                "project_data_folders": [project.data_folder.name],
            },
        )
    if not project.profile_file.exists():
        reference = str(uuid.uuid4())
        _write(
            project.profile_file,
            {
                "version": 2,
                "uuid": str(uuid.uuid4()),
                "last_project_reference": reference,
                "project_references": [
                    {
                        "type": "project_index",
                        "uuid": reference,
                        "project_uuid": json.loads(project.file.read_text(encoding="utf-8"))["uuid"],
                        "project_path": str(project.file),
                    }
                ],
            },
        )
    return project


def _write(file: pathlib.Path, content: dict[str, object]) -> None:
    with finished_file(file, option="--folder") as unfinished:
        unfinished.write_text(json.dumps(content), encoding="utf-8")

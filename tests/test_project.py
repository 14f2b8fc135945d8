"""A ready project is made once and left alone afterwards."""

import json

from nionswift_plugin.dkl_ae_ui.launcher.project import ensure_project


def test_the_profile_remembers_the_project(tmp_path) -> None:
    project = ensure_project(tmp_path / "new folder", "Graphene")
    made = json.loads(project.file.read_text())
    profile = json.loads(project.profile_file.read_text())
    (reference,) = profile["project_references"]
    assert profile["last_project_reference"] == reference["uuid"]
    assert reference["project_uuid"] == made["uuid"]
    assert reference["project_path"] == str(project.file)
    assert made["project_data_folders"] == [project.data_folder.name]
    assert project.data_folder.is_dir()


def test_a_project_that_is_there_is_not_touched(tmp_path) -> None:
    project = ensure_project(tmp_path)
    project.file.write_text(project.file.read_text() + " ")
    before = {file: file.read_text() for file in (project.file, project.profile_file)}
    assert ensure_project(tmp_path) == project
    assert {file: file.read_text() for file in before} == before

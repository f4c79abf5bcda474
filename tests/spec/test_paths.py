"""Where the files lie that a search's config names."""

from pathlib import Path

import pytest

from search.spec.paths import settled


def test_a_workloads_file_is_looked_for_beside_its_config_and_then_in_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "configs").mkdir()
    (tmp_path / "elsewhere").mkdir()
    config = tmp_path / "configs" / "mine.yaml"

    def found(workload: str) -> object:
        return settled({"workload": workload, "seed": 3}, config)["workload"]

    (tmp_path / "train.py").touch()
    monkeypatch.chdir(tmp_path)
    assert found("train.py") == "train.py"
    (tmp_path / "configs" / "train.py").touch()
    assert found("train.py") == "configs/train.py"
    assert found("heart.train") == "heart.train"
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert found("train.py") == str(tmp_path / "configs" / "train.py")
    assert settled({"workload": 3}, config) == {"workload": 3}


def test_a_script_that_lies_beside_its_config_is_found_from_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "my code"
    folder.mkdir()
    (tmp_path / "elsewhere").mkdir()
    for name in ("train.py", "net.yaml", "train.pyc"):
        (folder / name).touch()
    config = folder / "mine.yaml"
    line = "python train.py net.yaml --out={folder}/train.py --other other.py"
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert settled({"command": line}, config)["command"] == (
        f"python '{folder}/train.py' '{folder}/net.yaml' --out={{folder}}/train.py --other other.py"
    )
    monkeypatch.chdir(folder)
    assert settled({"command": line}, config)["command"] == line

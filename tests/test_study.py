"""The files of a run folder, written by two threads: at an interruption one secures what there is, another goes on."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from search import files, study
from search.config import StudyConfig
from search.journal import OpenTrial
from search.study import Study
from search.workload import load
from tests.programs import LEAST


def test_a_file_is_written_as_a_whole_by_two_threads_at_once(tmp_path: Path) -> None:
    texts = ["a" * 100_000, "b" * 100_000]

    def write_often(text: str) -> None:
        for _ in range(300):
            files.write(tmp_path / "trials.csv", text)

    with ThreadPoolExecutor() as pool:
        list(pool.map(write_often, texts))
    assert (tmp_path / "trials.csv").read_text(encoding="utf-8") in texts
    assert [path.name for path in tmp_path.iterdir()] == ["trials.csv"]


def test_an_interim_best_never_takes_the_place_of_a_retrainings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One thread has seen that no retraining is finished, and is about to write, when another finishes it."""
    made = study.create(StudyConfig(**LEAST, name="s", output=str(tmp_path)), load("tests.toy"))
    trial = OpenTrial(made.search, made.search.ask())
    trial.add(1, {"loss": 1.0, "elapsed_s": 0.1}, 1.0)
    trial.end("complete")
    retraining = made.add(study.RETRAINING, jobs=[])
    finishing = threading.Thread(target=made.finish, args=(retraining, ({"x": 1.0}, "retrained")))
    write_best = Study.write_best

    def write_late(self: Study, values: dict[str, float], note: str) -> None:
        if threading.current_thread() is not finishing:
            finishing.start()
            finishing.join(timeout=0.5)
        write_best(self, values, note)

    monkeypatch.setattr(Study, "write_best", write_late)
    study.load(made.folder).write_interim_best()
    finishing.join()
    assert "retrained" in (made.folder / "best.yaml").read_text(encoding="utf-8").replace("not retrained", "")

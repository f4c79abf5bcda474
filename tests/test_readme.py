"""What the README claims: its example, as a reader would copy it, and the tests that it names."""

import re
import subprocess
import sys
from pathlib import Path

from tests.programs import ROOT


def blocks(language: str) -> list[str]:
    """Return the README's blocks of code in a language."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_the_example_of_the_readme_runs_as_it_stands(tmp_path: Path) -> None:
    notebook, module, _ = blocks("python")
    (config,) = blocks("yaml")
    assert module.count("\n") < 40
    (tmp_path / "sine.py").write_text(module, encoding="utf-8")
    (tmp_path / "sine.yaml").write_text(config, encoding="utf-8")
    command = [sys.executable, "-m", "search.run", "--config", "sine.yaml", "--num-samples", "16"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert "the winner is trial" in done.stdout
    assert "test_loss" in done.stdout
    _check_the_notebook(notebook, next((tmp_path / "results").iterdir()), tmp_path)


def _check_the_notebook(example: str, study: Path, cwd: Path) -> None:
    """Run the README's example of a notebook on that study, in a process that has no Ray; look at what it prints."""
    code = example.replace("results/NAME", str(study)) + "\nimport sys; assert 'ray' not in sys.modules\n"
    code += "print(*study.trials_dataframe().columns, *study.curves_dataframe().columns)\n"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    columns = done.stdout.splitlines()[-1].split()
    assert {"trial", "state", "value", "best_epoch", "lr", "degree", "epoch", "val_loss", "elapsed_s"} <= set(columns)
    assert (cwd / "curves.svg").read_text(encoding="utf-8").startswith("<?xml")


def test_the_script_of_the_readme_runs_beside_its_workload_and_prints_nothing(tmp_path: Path) -> None:
    _, module, script = blocks("python")
    (tmp_path / "sine.py").write_text(module, encoding="utf-8")
    check = "\nimport sine\nassert sine.Config(**best).seed in (1, 2, 3)\nassert len(study.trials()) == 16\n"
    (tmp_path / "script.py").write_text(script + check, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    (study,) = (tmp_path / "results").iterdir()
    assert (study / "report.html").is_file()


def test_each_test_that_the_readme_names_is_there() -> None:
    named = re.findall(r"`(test_\w+)`", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert len(named) > 20
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name in named if f"def {name}(" not in sources] == []

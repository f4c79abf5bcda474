"""A command: how its words are made of a trial's values, and what of it is refused before anything starts."""

import pickle
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.errors import UserError
from search.spec import sources, workload
from search.spec.command import Command
from search.spec.config import StudyConfig
from search.spec.fit import Fit
from tests.programs import X

LR = {"distribution": "log_uniform", "low": 0.01, "high": 1}
FLAG = {"distribution": "choice", "values": [True, False]}
LEAST: dict[str, Any] = {"metric": "loss", "space": {"lr": LR}, "epochs": 3}


def filled(line: str, **values: Any) -> list[str]:
    return Command(line).filled(values, "/its/folder", "/its/config.json")


def config_of(line: str, **more: Any) -> StudyConfig:
    return StudyConfig.of({**LEAST, "command": line, **more})


def refusal(line: str, **more: Any) -> str:
    with pytest.raises(UserError) as caught:
        config_of(line, **more)
    return str(caught.value)


def test_a_command_is_split_like_a_shell_and_each_value_stands_in_its_word() -> None:
    line = "python 'my train.py' --lr {lr} --name=a\\ {kind}-{lr}.x --out {folder}/m --config {config} \"\""
    assert filled(line, lr=1e-05, kind="b c") == [
        "python",
        "my train.py",
        "--lr",
        "1e-05",
        "--name=a b c-1e-05.x",
        "--out",
        "/its/folder/m",
        "--config",
        "/its/config.json",
        "",
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1, "0.1"),
        (1e-07, "1e-07"),
        (3, "3"),
        (-1, "-1"),
        (True, "true"),
        (False, "false"),
        (None, "null"),
        ("a", "a"),
    ],
)
def test_values_are_written_as_json_and_hydra_have_them(value: Any, text: str) -> None:
    assert filled("main trainer.amp={x}", x=value) == ["main", f"trainer.amp={text}"]


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_no_value_adds_an_argument_and_each_comes_as_it_is(value: str) -> None:
    assert filled("main --kind {kind} -k={kind} end", kind=value) == ["main", "--kind", value, f"-k={value}", "end"]


def test_a_program_gets_a_value_that_looks_like_shell_code_as_it_is() -> None:
    value = "$(touch x); `id` \"'\n--lr 3 {lr} *"
    words = Command(f"{sys.executable} -c 'import sys; print(ascii(sys.argv[1:]))' {{kind}}").filled({"kind": value})
    assert subprocess.run(words, capture_output=True, text=True).stdout == f"{[value]!a}\n"


def test_a_flag_is_a_word_where_it_is_true_and_none_where_it_is_false() -> None:
    line = "main {amp:flag} --no-bias{nobias:flag} -x"
    assert filled(line, amp=True, nobias=True) == ["main", "--amp", "--no-bias", "-x"]
    assert filled(line, amp=False, nobias=False) == ["main", "-x"]


def test_double_braces_are_braces() -> None:
    assert filled("main '{{\"lr\": {lr}}}' {{lr}}", lr=0.5) == ["main", '{"lr": 0.5}', "{lr}"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "a search must have 'workload', or 'command' for a program, but the config lacks both"),
        (" ", "command must begin with a program, but got ' '"),
        ("'' {lr}", "command must begin with a program, but got"),
        ("{lr} x", "command must begin with a program, the same in every trial, but it begins with '{lr}'"),
        ("main 'x {lr}", 'command must be one that a shell could split, but: No closing quotation, in "main \'x {lr}"'),
        ("main {lr} \\", "command must be one that a shell could split, but: No escaped character"),
        (
            "main {lr:.3f}",
            "command must have {name}, {name:flag}, {folder} and {config}, and {{ and }} for braces, but",
        ),
        ("main {lr:}", "but got '{lr:}' in '{lr:}'"),
        ("main {} {lr}", "but got '{}' in '{}'"),
        ("main {lr} }", "but got '}' in '}'"),
        ("main x{lr", "but got '{' in 'x{lr'"),
        ("main {folder:flag} {lr}", "but got '{folder:flag}'"),
        ("cd x && main {lr}", "as it is run without a shell, but got '&&'; put the line into a script"),
        ("main {lr} > log.txt", "as it is run without a shell, but got '>'"),
        ("main {lr} 2>&1", "as it is run without a shell, but got '2>&1'"),
        ("main {lr} | tee log", "as it is run without a shell, but got '|'"),
        ("bash -ec 'main --lr {lr}'", "command must not put a value into the code of a shell"),
        ("main {lr} \0", "it has a zero byte"),
        ("main", "command must take space.lr, but has neither {lr} nor {config}; add one, or remove that"),
        (
            "main {lr} {lrr}",
            "command must have a value for {lrr}, but there is none; put it in space, fixed or defaults",
        ),
        ("main {lr:flag}", "{lr:flag} of command must be true or false, but lr may be 0.01; write --lr {lr}"),
    ],
)
def test_what_breaks_a_rule_of_commands_is_refused_with_the_value_and_the_fix(line: str, message: str) -> None:
    assert message in refusal(line)


def test_a_list_that_is_searched_may_have_a_default_and_stands_in_its_word_as_json() -> None:
    width = {"distribution": "choice", "values": ["a", "b"]}
    hidden = {"list": {"length": 2, "of": width}}
    config = config_of("true {hidden}", space={"hidden": hidden}, defaults={"hidden": ["a", "a"]}, epochs=3)
    assert Fit(config, workload.load(config.source)).first().configurations == [{"hidden.0": "a", "hidden.1": "a"}]
    assert isinstance(config.source, Command)
    assert config.source.filled(config.values({"hidden.0": "b", "hidden.1": "a"})) == ["true", '["b", "a"]']


def test_what_does_not_fit_the_command_is_refused() -> None:
    assert "value for {epochs}, but there is none; write epochs: 30" in refusal("main {lr} {epochs}", epochs=None)
    assert "command must take fixed.width" in refusal("main {lr}", fixed={"width": 3})
    assert "command must take defaults.width" in refusal("main {lr}", defaults={"width": 3})
    assert "{amp:flag} of command must be true or false, but amp may be 1" in refusal(
        "main {lr} {amp:flag}", fixed={"amp": 1}
    )
    text = {"distribution": "choice", "values": ["a", "b\0"]}
    assert "lr must be text that a program can be given" in refusal("main {lr}", space={"lr": text})
    assert "'folder' must be no hyperparameter" in refusal("main {folder}", space={"folder": LR})
    assert "defaults must hold names and plain values" in refusal("main {lr}", defaults={"lr": [1]})
    assert "defaults must hold names and plain values" in refusal("main {lr}", defaults={"lr": {"a": 1}})
    assert "has both; remove one" in refusal("main {lr}", workload="tests.toy")


@given(st.lists(st.sampled_from([*"{}'\"\\:$ ", "lr", "flag", "sh", "-c", "{lr}", "{{", "\0", "&&", "é\n"])), st.text())
def test_whatever_stands_there_is_a_command_or_is_refused(parts: list[str], report: str) -> None:
    for line in ("".join(parts), "".join(["sh {lr} ", *parts])):
        with suppress(UserError):
            source = config_of(line).source
            assert isinstance(source, Command)
            assert all(isinstance(word, str) for word in source.filled({"lr": 0.5, "seed": 0, "epochs": 3}))
    for found in (report, f"(?P<loss>{report})"):
        with suppress(UserError):
            assert config_of("sh {lr}", report=found).report == found


@pytest.mark.parametrize("more", [{"report": "(?P<loss>x)"}, {"defaults": {"x": 1}}])
def test_what_belongs_to_a_command_is_refused_beside_a_workload(more: dict[str, Any]) -> None:
    values = {"workload": "tests.toy", "metric": "loss", "space": {"x": X}, **more}
    with pytest.raises(UserError, match="must go with a command, but there is a workload"):
        StudyConfig.of(values)


@pytest.mark.parametrize(
    ("report", "message"),
    [
        ("loss=(", "but 'loss=(' is none: missing ), unterminated subpattern"),
        ("loss=(\\S+)", "but it has no group of that name; its groups are: none"),
        ("(?P<los>\\S+)", "its groups are: los"),
    ],
)
def test_a_report_that_cannot_find_the_metric_is_refused(report: str, message: str) -> None:
    assert message in refusal("main {lr}", report=report)
    assert "as loss=(?P<loss>\\S+)" in refusal("main {lr}", report=report)


def test_a_config_with_a_command_comes_back_from_the_journal_and_names_no_workload() -> None:
    config = config_of("main {lr}", report="(?P<loss>.)", defaults={"lr": 0.5})
    values = config.as_mapping()
    assert "workload" not in values
    assert StudyConfig.of(values) == config
    assert (
        not {"command", "report", "defaults"}
        & StudyConfig.of({"workload": "tests.toy", "metric": "loss", "space": {"x": X}}).as_mapping().keys()
    )


def test_a_command_goes_to_a_worker_and_is_the_same_there() -> None:
    source = config_of("main {lr}", defaults={"lr": 0.5}).source
    again = pickle.loads(pickle.dumps(source))
    assert (again, hash(again)) == (source, hash(source))


@pytest.mark.parametrize(
    ("line", "title"),
    [
        ("python -u src/train.py --data x.csv --lr {lr}", "train.py"),
        ("torchrun --nproc 2 train.py {lr}", "train.py"),
        ("python3.11 -m pack.train {lr}", "pack.train"),
        ("./build/train -m 3 {lr}", "train"),
        ("Rscript fit.R {lr}", "fit.R"),
    ],
)
def test_a_command_is_called_by_its_script(line: str, title: str) -> None:
    assert config_of(line).title == title


def loaded(line: str, **more: Any) -> workload.Workload:
    return workload.load(config_of(line, **more).source)


def test_what_cannot_be_run_is_refused_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.sh").write_text("echo", encoding="utf-8")
    study = tmp_path / "results" / "theirs"
    study.mkdir(parents=True)
    (study / "journal.log").touch()
    (study / "x.py").touch()
    (study / "run").touch(mode=0o755)
    for line, message in (
        ("no-such-program {lr}", "there is no 'no-such-program', neither a file nor on the PATH; give its path"),
        ("LR=1 train {lr}", "what sets a variable is env: write env LR=1"),
        (
            "./train.sh {lr}",
            "'./train.sh' that may be executed; make it executable (chmod +x ./train.sh), or name what",
        ),
        ("python3 -u trian.py {lr}", f"there is no file 'trian.py' in {tmp_path}"),
        ("sh results/theirs/x.py {lr}", "results/theirs/x.py lies in"),
        ("results/theirs/run {lr}", "what comes with results is never run"),
    ):
        with pytest.raises(UserError) as caught:
            loaded(line)
        assert message in str(caught.value)
    assert loaded("sh train.sh {lr}").name == "train.sh"


def test_a_command_is_a_workload_with_its_defaults_and_the_epochs_of_the_search() -> None:
    config = config_of("sh -c x sh {lr} {seed}", defaults={"lr": 0.5})
    made = workload.load(config.source)
    assert made.defaults() == {"seed": 0, "lr": 0.5, "epochs": 3}
    assert Fit(config, made).epochs == 3
    built = made.build(config.values({"lr": 0.1}, seed=7))
    assert made.values_of(built) == {"lr": 0.1, "seed": 7, "epochs": 3}
    theirs = config_of("sh {lr}", epochs=None, defaults={"epochs": 9})
    assert Fit(theirs, workload.load(theirs.source)).epochs == 9
    with pytest.raises(UserError, match="must say how many epochs a trial has at most, as sh has no such field"):
        Fit(config_of("sh {lr}", epochs=None), loaded("sh {lr}", epochs=None))


def test_a_command_without_a_seed_is_told_what_that_means() -> None:
    assert "has no {seed}" in loaded("sh {lr}").notes[0]
    assert loaded("sh {lr} {seed}").notes == loaded("sh {config}").notes == ()


def test_the_sources_of_a_command_are_its_files_and_what_those_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "train-it.py").write_text("import json, helps\nfrom pack import part\n", encoding="utf-8")
    (tmp_path / "src" / "helps.py").write_text("import torch\nimport deep\n", encoding="utf-8")
    (tmp_path / "src" / "deep.py").write_text("x = 1\n", encoding="utf-8")
    (tmp_path / "src" / "pack").mkdir()
    (tmp_path / "src" / "pack" / "part.py").touch()
    (tmp_path / "data.csv").touch()
    (tmp_path / "model.yaml").touch()
    (tmp_path / "run").touch(mode=0o755)
    source = config_of("./run src/train-it.py {lr} --data data.csv -c model.yaml").source
    before = sources.digests(source)
    assert list(before) == ["model.yaml", "run", "src/deep.py", "src/helps.py", "src/pack/part.py", "src/train-it.py"]
    (tmp_path / "src" / "deep.py").write_text("x = 2\n", encoding="utf-8")
    assert sources.difference(before, sources.digests(source)) == "src/deep.py"

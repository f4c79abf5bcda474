"""Record tests/recorded/, whose README says what is there and when it is recorded anew.

python -m tests.record studies ends proposals

Real searches, one trial at a time, so that every number but the seconds is a function of the seed. What tells of the
machine is left out.
"""

import json
import os
import platform
import re
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

from search import study
from search.journal import records
from search.journal.outcome import Outcome
from search.journal.trial import Trial
from search.spec import files
from search.study import Study
from tests.programs import ROOT, TOY, X, begin, start, until, until_gone, write

RECORDED = Path(__file__).with_name("recorded")
SAME = {"TZ": "UTC", "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR"}
"""For every machine: a session's time has its zone, and numpy rounds some logarithms otherwise where it has AVX-512."""
ONE = ("--cpus-per-trial", os.cpu_count())
"""One trial at a time, on whatever machine."""
Y = {"distribution": "int_uniform", "low": -3, "high": 3}
LIMIT = {"distribution": "log_uniform", "low": 0.1, "high": 5}
FAULT = {"distribution": "choice", "values": ["", "raise", "nan", "text"]}
STUDIES: dict[str, dict[str, Any]] = {
    "finished": {**TOY, "num_samples": 10},
    "faulty": {**TOY, "num_samples": 12, "seed": 48, "space": {"x": X, "y": Y, "limit": LIMIT, "fault": FAULT}},
    "interrupted": {**TOY, "num_samples": 14, "seed": 4, "workload": "tests.held"},
}
LEAST = {**TOY, "num_samples": 20, "finalists": 1, "seeds": 1}
PROPOSALS: dict[str, dict[str, Any]] = {
    "tpe 0": LEAST,
    "tpe 1": {**LEAST, "seed": 1},
    "tpe 2": {**LEAST, "seed": 2},
    "random 0": {**LEAST, "sampler": "random"},
}
DROPPED = shutil.ignore_patterns("logs", "plots", "report.html", "writer.lock")
NEUTRAL = {
    r'"worker_id":"[^"]*"': '"worker_id":"worker"',
    r'"system":"[^"]*"': '"system":"system"',
    r'"processor":"[^"]*"': '"processor":"processor"',
}
"""What stands in a journal in the place of what tells of the machine."""
TIMELESS = {
    r'"where":\[[^]]*\]': '"where":[]',
    r'"elapsed_s":[^,}]*': '"elapsed_s":0.0',
    r'"(datetime_\w+)":"[^"]*"': r'"\1":""',
    r',"batch":true': "",
}
"""What stands besides in a journal that is to be written again, to the last byte: times, and what they put together."""
Said = dict[str, list[dict[str, Any]]]


def said(made: Study) -> Said:
    """Return what a study says, to the last digit, but for the seconds: rows of trials, of runs, and of the verdict."""
    told: Said = {"trials": [_trial(trial) for trial in made.trials()]}
    found = made.outcome()
    if found:
        told["runs"] = [_run(run) for candidate in found.candidates for run in candidate.all_runs]
        told["candidates"] = [_candidate(found, at) for at in range(len(found.candidates))]
        told["verdict"] = [_verdict(made)]
    return told


def placed(made: Study) -> Said:
    """Return where and when the trials of a study were trained."""
    return {"places": [_place(trial) for trial in made.trials()]}


def _place(trial: Trial) -> dict[str, Any]:
    seconds = None if trial.ending == "running" else trial.seconds
    return {"number": trial.number, "where": trial.where, "started": trial.started, "seconds": seconds}


def _trial(trial: Trial) -> dict[str, Any]:
    told = {"number": trial.number, "ending": trial.ending, "value": trial.value, "best_epoch": trial.best_epoch}
    failure = trial.attributes.get("failure")
    return {**told, "params": trial.params, "losses": _losses(trial), **({"failure": failure} if failure else {})}


def _run(run: Trial) -> dict[str, Any]:
    config, candidate = run.attributes["config"], run.attributes["candidate"]
    return {"candidate": candidate, "ending": run.ending, "config": config, "losses": _losses(run)}


def _losses(trial: Trial) -> list[float | str]:
    return [records.to_json(metrics["loss"]) for metrics in trial.epochs]


def _candidate(found: Outcome, at: int) -> dict[str, Any]:
    candidate = found.candidates[at]
    told = {"name": candidate.name, "wins": candidate is found.winner}
    return {**told, "values": candidate.values, "tests": candidate.tests}


def _verdict(made: Study) -> dict[str, Any]:
    snapshot = made.snapshot()
    judged = snapshot.verdict
    assert judged and judged.validation and judged.test
    gains = {"gain": judged.validation.value, "error": judged.validation.error, "test_gain": judged.test.value}
    rivals = [each.name for each in judged.rivals]
    told = {"noise": judged.noise, **gains, "survived": judged.survived, "rivals": rivals}
    shares = {each.name: round(each.share, 6) for each in snapshot.importances}
    return {**told, "trained": snapshot.trained, "saved": snapshot.saved, "importances": shares}


def written(told: Said) -> str:
    """Return rows as JSON, a line each."""
    parts = []
    for name, rows in told.items():
        lines = ",\n".join(json.dumps(row) for row in rows)
        parts.append(f"{json.dumps(name)}: [\n{lines}\n]")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def read(name: str) -> Said:
    """Return the rows of a file in tests/recorded/."""
    told: Said = json.loads((RECORDED / name).read_text(encoding="utf-8"))
    return told


def copy(name: str, cwd: Path) -> Path:
    """Return the folder of a copy of a recorded study, in the results/ of a working folder."""
    folder = cwd / "results" / name
    shutil.copytree(RECORDED / name, folder)
    (folder / "logs").mkdir(exist_ok=True)  # git keeps no empty folder
    return folder


def run(cwd: Path, *arguments: object) -> str:
    """Return what search.run says, one trial at a time, to its end."""
    done = start("search.run", *arguments, *ONE, cwd=cwd, **SAME)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    return done.stdout


def search(cwd: Path, name: str, config: dict[str, Any]) -> Study:
    """Return a study that was searched to its end."""
    write(cwd, config)
    run(cwd, "--config", "search.yaml", "--name", name)
    return study.load(cwd / "results" / name)


def resume(cwd: Path, name: str) -> Study:
    """Return a study that was gone on with to its end."""
    run(cwd, "--resume", f"results/{name}")
    return study.load(cwd / "results" / name)


def interrupt(cwd: Path, name: str, config: dict[str, Any]) -> None:
    """Search until a trial is held in its middle, then press Ctrl-C."""
    write(cwd, config)
    (cwd / "hold").touch()
    temporary = cwd / "t"
    temporary.mkdir()
    flags = ("--config", "search.yaml", "--name", name, *ONE)
    with begin(cwd, *flags, **SAME, TMPDIR=str(temporary)) as process:
        until((cwd / "held").exists)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGINT, output + errors
    until_gone(temporary)


def keep(folder: Path) -> None:
    """Keep a study in tests/recorded/, without what tells of the machine, and derive its tables again."""
    kept = RECORDED / folder.name
    shutil.copytree(folder, kept, ignore=DROPPED)
    file = kept / "journal.log"
    file.write_text(_neutral(file.read_text(encoding="utf-8")), encoding="utf-8")
    made = study.load(kept)
    made.write_tables()
    attributes = made.search.user_attrs
    about = {"config": attributes["config"], "sessions": attributes["sessions"]}
    (kept / "study.yaml").write_text(files.yaml(about), encoding="utf-8")
    (RECORDED / f"{folder.name}.json").write_text(written(said(made) | placed(made)), encoding="utf-8")


def _neutral(text: str) -> str:
    text = _replaced(text, NEUTRAL)
    processes: dict[str, int] = {}

    def place(found: re.Match[str]) -> str:
        return f'"where":["host",{processes.setdefault(found[1], len(processes) + 1)},'

    return re.sub(r'"where":\["[^"]*",(\d+),', place, text)


def _replaced(text: str, patterns: dict[str, str]) -> str:
    for pattern, put in patterns.items():
        text = re.sub(pattern, put, text)
    return text


def added(folder: Path) -> str:
    """Return what the journal of a copy has more than that of its study, without times and what a session is told."""
    before, after = ((each / "journal.log").read_text(encoding="utf-8") for each in (RECORDED / folder.name, folder))
    assert after.startswith(before)
    lines = after[len(before) :].splitlines(keepends=True)
    return _replaced("".join(line for line in lines if not _is_of_session(line)), NEUTRAL | TIMELESS)


def _is_of_session(line: str) -> bool:
    record = json.loads(line)
    return record["op_code"] == 2 and not {"config", "sessions", "searched"}.isdisjoint(record["user_attr"])


def record_studies(folder: Path) -> None:
    """Search, and keep what came of it, in the place of what was kept."""
    for name in ("finished", "faulty"):
        search(folder, name, STUDIES[name])
    audited = start("search.audit", "results/finished", cwd=folder, **SAME)
    assert audited.returncode == 0, audited.stderr
    interrupt(folder, "interrupted", STUDIES["interrupted"])
    for name in STUDIES:
        shutil.rmtree(RECORDED / name, ignore_errors=True)
        keep(folder / "results" / name)


def record_ends(folder: Path) -> None:
    """Go on with what is kept, and keep what is said of the finished, and what the interrupted comes to."""
    for name in ("finished", "faulty"):
        copy(name, folder)
        (RECORDED / f"{name}.txt").write_text(run(folder, "--resume", f"results/{name}"), encoding="utf-8")
    copy("interrupted", folder)
    made = resume(folder, "interrupted")
    (RECORDED / "resumed.json").write_text(written(said(made)), encoding="utf-8")
    (RECORDED / "resumed.log").write_text(added(made.folder), encoding="utf-8")
    shutil.copyfile(made.folder / "best.yaml", RECORDED / "resumed.yaml")


def record_proposals(folder: Path) -> None:
    """Search, and keep what was proposed and what it came to."""
    told: Said = {}
    for name, config in PROPOSALS.items():
        told[name] = said(search(folder, name.replace(" ", "-"), config))["trials"]
    (RECORDED / "proposals.json").write_text(written(told), encoding="utf-8")


def check() -> None:
    """Hold that nothing kept names this machine or a place on it."""
    names = (str(ROOT), str(Path.home()), tempfile.gettempdir(), platform.platform(), f'"{platform.node()}"')
    for path in RECORDED.rglob("*"):
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        assert not [name for name in names if name in text], path


PARTS = {"studies": record_studies, "ends": record_ends, "proposals": record_proposals}


def main(parts: list[str]) -> None:
    """Record these parts anew."""
    for part in parts:
        with tempfile.TemporaryDirectory(prefix="r") as name:
            PARTS[part](Path(name))
    check()


if __name__ == "__main__":
    main(sys.argv[1:])

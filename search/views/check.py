"""What `search.check` found, on one screen."""

import textwrap
from collections.abc import Iterator

from search.analysis.checkup import Checkup, Cost, Files, Machine, Metrics, Model, Range, Repeats, Taken, Times
from search.errors import count
from search.views.format import span

WIDTH = 80
MARGIN = 12
"""Columns of what begins a line."""
MOST_NAMES = 8
"""Names that are written out."""


def lines(checkup: Checkup) -> list[str]:
    """Return all lines of it: the facts, each wrapped, then a line a problem."""
    facts = {
        "workload": _workload(checkup.workload),
        "metrics": _metrics(checkup.metrics),
        "an epoch": _cost(checkup.cost),
        "memory": _memory(checkup.cost),
        "same seed": _repeats(checkup.repeats),
        "the model": _model(checkup.model, checkup.workload),
        "at once": _machine(checkup.machine),
        "search": _search(checkup.times),
        "retraining": _retraining(checkup.times),
        "writes": _files(checkup.files),
    }
    shown = []
    for name, text in facts.items():
        shown += textwrap.wrap(text, WIDTH - 1, initial_indent=name.ljust(MARGIN), subsequent_indent=" " * MARGIN)
    shown += _problems(checkup)
    return shown


def _problems(checkup: Checkup) -> Iterator[str]:
    for problem in checkup.problems:
        kind = "error" if problem.is_error else "note"
        yield f"{kind}: {problem.text}"
    took = f"checked in {span(checkup.took_s)}"
    if checkup.errors:
        yield f"{took}: {count(checkup.errors, 'error')} to mend before a search"
    else:
        yield f"{took}: nothing keeps this from being searched"


def _workload(taken: Taken) -> str:
    texts = [f"the {taken.kind} {taken.name}: {taken.form}"]
    if taken.hyperparameters:
        texts.append(f"takes {_names(taken.hyperparameters)}")
    if taken.functions:
        texts.append(f"uses its {_names(taken.functions)}")
    return "; ".join(texts)


def _names(names: list[str]) -> str:
    more = len(names) - MOST_NAMES
    if more > 1:
        return f"{', '.join(names[:MOST_NAMES])} and {more} more"
    return ", ".join(names)


def _metrics(metrics: Metrics) -> str:
    better = "less" if metrics.mode == "min" else "more"
    there = "" if metrics.is_there else " (has not come)"
    others = f"; recorded beside it: {_names(metrics.others)}" if metrics.others else ""
    if not metrics.further:
        return f"{metrics.decides} decides{there}, {better} is better{others}"
    further = [f"{name} ({mode})" for name, mode in metrics.further.items()]
    return f"{metrics.decides} ({metrics.mode}){there} and {', '.join(further)} decide{others}"


def _cost(cost: Cost) -> str:
    if cost.epoch_s is None:
        return "none has ended"
    text = f"takes {_seconds(cost.epoch_s)}"
    if not cost.is_timed:
        imports = f"a process imports for {_second(cost.import_s)}"
        return f"{text}, with all that comes before it (only one was trained); {imports}"
    text += f"; the first of a process {_second(cost.process_s)} more, and imports of {_second(cost.import_s)}"
    if cost.trial_s is not None:
        text += f"; the first of a later trial {_second(cost.trial_s)} more"
    return text


def _memory(cost: Cost) -> str:
    texts = [f"a process holds up to {cost.peak_mb:.0f} MB"]
    if cost.children_mb:
        texts.append(f"its child processes {cost.children_mb:.0f} MB")
    if cost.gpu_mb:
        texts.append(f"{cost.gpu_mb:.0f} MB of the GPU")
    texts.append(f"grows by {cost.growth_mb:.2g} MB an epoch" if cost.growth_mb >= 0.005 else "does not grow")
    return ", ".join(texts)


def _repeats(repeats: Repeats | None) -> str:
    if repeats is None or not repeats.epochs:
        return "unknown"
    where = "in two processes" if repeats.is_two_processes else "in one process"
    text = f"{repeats.what}, twice {where}, {count(repeats.epochs, 'epoch')}: "
    if repeats.is_same:
        text += "the same to the last bit"
    elif repeats.difference is None:
        text += "not the same"
    else:
        text += f"not the same, by {repeats.difference:.1g} of the metric"
    if repeats.others:
        text += f"; {_names(repeats.others)} differ"
    return text


def _model(model: Model, taken: Taken) -> str:
    if model.unpickled:
        return "cannot be pickled"
    if not model.pickled_bytes:
        return "train yields none"
    texts = [f"{_size(model.pickled_bytes)} pickled"]
    if model.scores:
        texts.append(f"test gives {_names(model.scores)} (not shown before the end)")
    if model.files:
        texts.append(f"save writes {_names([f'{name}, {_size(size)}' for name, size in model.files.items()])}")
    elif "save" not in taken.functions:
        texts.append("no save, so no model is kept")
    if model.is_drawn:
        texts.append("plot draws it")
    return "; ".join(texts)


def _machine(machine: Machine) -> str:
    trials = count(machine.at_once, "trial")
    if machine.address:
        return f"{trials} on the cluster {machine.address}, {_share(machine)} each"
    whole = f"{count(machine.cpus, 'core')} that this process may use"
    if machine.quota is not None and machine.quota < machine.cpus_in_all:
        whole += f" (a quota of {machine.quota:g} of {machine.cpus_in_all})"
    elif machine.cpus < machine.cpus_in_all:
        whole += f" (of {machine.cpus_in_all})"
    if machine.gpus_per_trial:
        whole = f"{count(machine.gpus, 'GPU')} and the {whole}"
    return f"{trials}: {_share(machine)} each, of the {whole}"


def _share(machine: Machine) -> str:
    share = "1 core" if machine.cpus_per_trial == 1 else f"{machine.cpus_per_trial:g} cores"
    if machine.gpus_per_trial:
        share = f"{machine.gpus_per_trial:.3g} GPU and {share}"
    return share


def _search(times: Times) -> str:
    trials = "any number of trials" if times.trials is None else count(times.trials, "trial")
    text = f"{trials} of up to {count(times.epochs, 'epoch')}"
    if times.search_s is None:
        return text
    return f"{text}: {_spans(times.search_s)}"


def _retraining(times: Times) -> str:
    if not times.candidates:
        return "none"
    what = f"{count(times.candidates, 'configuration')}, each with {count(times.seeds, 'seed')}"
    if times.chosen_from:
        beside = " and the defaults" if times.candidates > times.chosen_from else ""
        what = f"the best {times.chosen_from} once, then the best of them{beside} with {count(times.seeds, 'seed')}"
    if times.retraining_s is None:
        return what
    return f"{what}: {_spans(times.retraining_s)}"


def _files(files: Files) -> str:
    text = f"{files.folder}/, what is printed into its logs/"
    if files.trial_folders:
        text += ", what train writes into its trials/"
    if files.best:
        again = ", which replaces the one that is there" if files.replaces_best else ""
        text += f"; {files.best}{again}"
    if files.trackers:
        text += f"; {_names(files.trackers)}"
    return text


def _spans(seconds: Range) -> str:
    low, high = (span(value) for value in seconds)
    if low == high:
        return f"about {high}"
    unit = high.rpartition(" ")[2]
    if low.count(" ") == high.count(" ") == 1 and low.endswith(f" {unit}"):
        low = low.removesuffix(f" {unit}")
    return f"{low} to {high}"


def _seconds(seconds: Range) -> str:
    low, high = (_second(value) for value in seconds)
    if low == high:
        return high
    if low.rpartition(" ")[2] == high.rpartition(" ")[2]:
        low = low.rpartition(" ")[0]
    return f"{low} to {high}"


def _second(seconds: float) -> str:
    if seconds < 0.9995:
        return f"{1000 * seconds:.2g} ms" if seconds < 0.0995 else f"{1000 * seconds:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 100 else span(seconds)


def _size(size: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} GB"

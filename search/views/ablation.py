"""What an ablation says: by how much each hyperparameter of the winner is better than its default."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from search.analysis.ablation import Ends, Step
from search.views.format import number
from search.views.summary import TABLE_STYLE


def rows(ends: Ends, steps: Sequence[Step]) -> list[tuple[str, str, str]]:
    """Return what is changed, the value with it, and its gain, from the defaults on, as texts."""
    found = [("defaults", number(ends.first), "")]
    for step in steps:
        change = f"{step.name} {number(step.before)} -> {number(step.after)}"
        found.append((change, number(step.value), f"{step.gain:+.2g}"))
    return found


def note(ends: Ends, steps: Sequence[Step], noise: float | None) -> str:
    """Return what is to be thought of the gains, as a line."""
    line = f"all with seed {ends.seed}"
    if len(steps) < len(ends.before):
        line += "; beyond that no configuration in between trained to its end"
    if noise is not None:
        line += f"; seeds alone make differences of {noise:.2g}"
    return line


def show(console: Console, metric: str, ends: Ends, steps: Sequence[Step], noise: float | None) -> None:
    """Print the way from the defaults to the winner."""
    console.print(f"from the defaults to the winner, {ends.winner}, one hyperparameter at a time:")
    table = Table("", metric, "gain", **TABLE_STYLE)
    for row in rows(ends, steps):
        table.add_row(*row)
    console.print(table)
    console.print(note(ends, steps, noise))

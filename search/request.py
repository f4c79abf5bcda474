"""What is asked of a session: a new study, or one that goes on, and the config that this comes to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from search.errors import UserError
from search.spec.config import StudyConfig
from search.study import Study


@dataclass(frozen=True)
class Asked:
    """What is to be searched."""

    settings: Mapping[str, Any] | None
    """Those of a whole config, as YAML gives them; None where a study goes on under its own."""
    changes: Mapping[str, Any] = field(default_factory=dict)
    """Settings that win over those."""
    resume: Path | None = None
    """The folder of a study that goes on; None for a new one."""
    repair: bool = False
    """Whether it goes on without what stands in its journal behind damage."""
    allow_changes: bool = False
    """Whether it goes on though the workload's sources, its space or its fixed values have changed."""
    retry_failed: bool = False
    """Whether its trials that failed are trained again."""


def check_new(asked: Asked) -> None:
    """Raise UserError where a new study is asked for what only one that goes on can have."""
    if asked.repair:
        raise UserError("repair is for the journal of a study that goes on, but got a new one; give --resume, too")
    if asked.retry_failed:
        raise UserError("retry-failed is for the trials of a study that goes on, but got a new one; give --resume, too")


def config_of(asked: Asked, before: Study | None) -> StudyConfig:
    """Return the config that is asked for: over a file's, or over that of a study that goes on."""
    if before is None:
        return StudyConfig.of({**(asked.settings or {}), **asked.changes})
    kept = {"name": before.config.name, "output": before.config.output}
    for name in kept:
        if name in asked.changes:
            raise UserError(f"a study keeps its {name}: give --resume or --{name}, but not both")
    settings = before.config.as_mapping() if asked.settings is None else asked.settings
    as_before = {"try_defaults": before.config.try_defaults}  # which a file of before does not say
    return StudyConfig.of({**as_before, **settings, **asked.changes, **kept})

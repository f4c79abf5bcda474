"""The log file of a Ray of ours, which all that this process logs goes to while it runs."""

import logging
from pathlib import Path


class LogFile(logging.FileHandler):
    """The log of a Ray of ours."""


def log_to(path: Path) -> None:
    """Send the log lines and warnings of this process to a file instead of the terminal.

    The handler is the root's: ray.init() empties the list of Ray's own logger. It stays when Ray is ended,
    for the lines that come later, until another Ray's takes its place. A handler that is not ours is not closed: who
    calls search.run from Python has it back.
    """
    root = logging.getLogger()
    for handler in root.handlers[:]:
        root.removeHandler(handler)
        if isinstance(handler, LogFile):
            handler.close()
    log = LogFile(path, delay=True)
    log.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root.addHandler(log)
    logging.captureWarnings(True)
    for name in ("ray", "optuna"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True

"""What a tracker needs beside this package: looked for before a search, and imported only where it is chosen."""

import importlib.util
import io
from collections.abc import Collection
from contextlib import redirect_stderr
from importlib.metadata import packages_distributions

PACKAGES = {"tensorboard": ("tensorboardX",), "mlflow": ("mlflow", "sqlalchemy", "alembic"), "wandb": ("wandb",)}
"""What each tracker imports."""


def check(names: Collection[str]) -> None:
    """Raise ValueError where a tracker is not installed, or would ask for a login."""
    for name in names:
        for package in PACKAGES[name]:
            found = importlib.util.find_spec(package)
            if found is None or found.origin is None:  # a folder of that name: W&B makes one
                ours = packages_distributions().get(__package__ or "", ["the package of this search"])[0]
                raise ValueError(
                    f"trackers must be installed, but {name} lacks {package}: pip install '{ours}[{name}]', "
                    f"or take {name} out of trackers"
                )
    if "wandb" in names:
        _check_login()


def _check_login() -> None:
    from ray.air.integrations import wandb

    try:
        with redirect_stderr(io.StringIO()):
            wandb._set_api_key()
    except Exception as error:  # wandb has classes of its own for a key that cannot be one
        why = " ".join(str(error).split())
        raise ValueError(
            f"tracker wandb must have a login, but: {why:.200}; run `wandb login`, or set WANDB_API_KEY, "
            "or WANDB_MODE=offline"
        ) from None

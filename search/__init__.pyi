from search.errors import UserError as UserError
from search.run import run as run
from search.spec.config import StudyConfig as StudyConfig
from search.spec.objective import Objective as Objective
from search.study import Study as Study
from search.study import load as load

__version__: str
__all__ = ["Objective", "Study", "StudyConfig", "UserError", "load", "run"]

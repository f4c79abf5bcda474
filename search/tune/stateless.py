"""A searcher without a state of its own: Tune asks it to save one, but the journal holds all."""

from ray.tune.search import Searcher


class StatelessSearcher(Searcher):
    """The base of our searchers."""

    def save(self, checkpoint_path: str) -> None:
        """Tune's own state is not part of a study: the journal holds it all."""

    def restore(self, checkpoint_path: str) -> None:
        """Tune's own state is not part of a study: the journal holds it all."""

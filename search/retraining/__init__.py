"""Finalists x seeds: the best configurations trained again, judged and kept, with the winner's files and pictures.

May import every room above it: `search.spec` to `search.tune`.
"""

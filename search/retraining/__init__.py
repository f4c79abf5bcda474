"""A race between the best configurations, trained again with other seeds; the winner is kept, with files and pictures.

May import every room above it: `search.spec` to `search.tune`.
"""

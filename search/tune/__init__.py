"""The only room that may import Ray: the cluster, the searcher and the tuner, the worker pool, the trackers.

May import every room above it: `search.spec` to `search.worker`. Whatever lies outside it works without Ray.
"""

"""What it means, in numbers: the snapshot of a study, importances, the verdict, and tables.

May import `search.spec` and `search.journal`, and what those may.
"""

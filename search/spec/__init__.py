"""What is asked: the workload interface, the space, the objective, the settings, and the YAML they stand in.

May import `search.errors` and `search.algorithms`, whose names and options the settings are checked against.
"""

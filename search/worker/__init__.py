"""What runs inside a worker process: its isolation between trials, the training of a config, and retraining's jobs.

May import `search.spec`, the values of `search.journal.trial` and `search.analysis.tried` and, to draw,
`search.views.images`. No file of it imports Optuna, Ray or matplotlib when it is imported: each costs a process half a
second before its first epoch.
"""

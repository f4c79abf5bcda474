"""What happened: a trial as a value, how it is written and read, the file and its lock, and who won.

May import `search.spec` and what that may.
"""

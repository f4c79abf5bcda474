"""What a person sees: the terminal, matplotlib's pictures, images, and the page of the report.

May import the rooms above it: `search.algorithms` to `search.analysis`. It is shown a Snapshot, never a Study.
"""

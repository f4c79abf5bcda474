"""The colours of trials, in the pictures and in the report."""

STATES = {
    "complete": "#2a7f62",
    "stopped": "#8c9bb0",
    "diverged": "#e07b00",
    "failed": "#2b2b2b",
    "running": "#7b5ea7",
}
FRONT = "#d1173a"
"""Of the one that stands out."""

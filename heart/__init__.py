"""The first workload: a small network learns which points of the plane lie inside a heart curve."""

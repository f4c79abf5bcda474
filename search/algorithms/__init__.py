"""What decides: the schedulers' rules, the samplers, and the forecast of the time left; no disk, no Ray.

May import `search.errors` alone: an algorithm is given numbers, and knows nothing of studies.
"""

"""
How runs of a workflow are simulated: many at once, each step of all of them in one operation on arrays.
"""

"""
What a workflow will cost, before it runs: its distribution from a declared graph, and the limits that follow from it.
"""

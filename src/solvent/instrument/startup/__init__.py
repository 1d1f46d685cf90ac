"""
A folder that ``solvent doctor`` puts on the path of the programs that it looks into.
"""

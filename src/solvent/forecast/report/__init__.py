"""
A forecast as people see it: in words, as a picture for a terminal, and as a page.
"""

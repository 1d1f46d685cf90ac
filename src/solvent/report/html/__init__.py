"""
A report as one page that stands for itself: a file to keep, to print, or to paste into a review.
"""

from solvent.report.html._page import page
from solvent.report.html._write import write_page

__all__ = ["page", "write_page"]

"""One self-contained HTML page about a run: curves, pictures, tables, settings; no network, no scripts."""

from biounet.report.page import write_report
from biounet.report.pictures import Picture
from biounet.report.runlog import best_row, health, load_log

__all__ = ["Picture", "best_row", "health", "load_log", "write_report"]

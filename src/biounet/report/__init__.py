"""One self-contained HTML page about a run: curves, pictures, tables, settings; no network, no scripts."""

from biounet.report.log import best_row, health, load_log
from biounet.report.page import write_report
from biounet.report.views import Picture

__all__ = ["Picture", "best_row", "health", "load_log", "write_report"]

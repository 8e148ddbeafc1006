"""One self-contained HTML page about a run, a prediction or an evaluation; nothing is loaded from elsewhere."""

from biounet.report.answer import Answer
from biounet.report.log import best_row, health, load_log
from biounet.report.page import write_report
from biounet.report.views import Picture

__all__ = ["Answer", "Picture", "best_row", "health", "load_log", "write_report"]

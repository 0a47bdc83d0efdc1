"""Ingest: what the feeds say, freed of what cannot be true, and cut where an evaluation is due."""

from monitor.ingest.clean_batch import CleanBatch
from monitor.ingest.cut import GRID_NS, Cutter, cut
from monitor.ingest.rejects import Cause, Reject, Rejects
from monitor.ingest.truth import TruthFilter
from monitor.ingest.truth_settings import TruthSettings

__all__ = ["GRID_NS", "Cause", "CleanBatch", "Cutter", "Reject", "Rejects", "TruthFilter", "TruthSettings", "cut"]

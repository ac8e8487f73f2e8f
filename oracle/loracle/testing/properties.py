"""Properties that a test has of its report, which pytest writes into its JUnit file."""

from __future__ import annotations

__all__ = ["EXPECTED", "NOT_JUDGED", "SUSPECT"]

NOT_JUDGED = "loracle.not-judged"
"""What was skipped, with the reason."""

SUSPECT = "loracle.suspect"
"""What does not fail the test, because only what is proven is to."""

EXPECTED = "loracle.expected"
"""A failure that the file of expected failures lists."""

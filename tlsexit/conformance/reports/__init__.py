"""Reports for people and for machines, all made from :class:`~tlsexit.conformance.results.Report`."""

from __future__ import annotations

from tlsexit.conformance.reports.html import html_page
from tlsexit.conformance.reports.junit import junit_xml

__all__ = ["html_page", "junit_xml"]

"""Attackers who know the detectors and disguise every query: what it costs them to stay unfound."""

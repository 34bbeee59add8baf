"""Rankers of candidates with one `fit / predict` contract, their metrics and their artefacts."""

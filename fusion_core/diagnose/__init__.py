"""Diagnosis: from a failing record, or many, to a named and tested cause."""

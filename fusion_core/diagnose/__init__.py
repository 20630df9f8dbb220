"""Diagnosis: from a failing record, or many, to a named and tested cause.

`build.build_reference` makes what clean records look like, `run.examine_rows` diagnoses records, `population.findings`
says what is wrong with many.
"""

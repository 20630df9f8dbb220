"""Generators of the sample record sets; every one is a pure function of its seed."""

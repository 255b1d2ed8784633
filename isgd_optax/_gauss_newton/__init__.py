"""Gauss–Newton in function space."""

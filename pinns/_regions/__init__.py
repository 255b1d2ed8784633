"""Regions of space and space-time, and the points that are drawn in them."""

from pinns._regions._ball import Ball, Sphere
from pinns._regions._box import Box, Faces
from pinns._regions._difference import Difference
from pinns._regions._fixed_points import FixedPoints
from pinns._regions._polygon import Edges, Polygon
from pinns._regions._region import Boundary, Domain, Region
from pinns._regions._space_time import SpaceTime

__all__ = [
    "Ball",
    "Boundary",
    "Box",
    "Difference",
    "Domain",
    "Edges",
    "Faces",
    "FixedPoints",
    "Polygon",
    "Region",
    "SpaceTime",
    "Sphere",
]

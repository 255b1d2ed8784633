"""A polygon cut into triangles, by its ears."""

import numpy as np


def signed_area(corners: np.ndarray) -> float:
    """The area inside of a closed line of shape (V, 2), negative if it runs clockwise."""
    x, y = (corners - corners[0]).T  # differences first: a small polygon may lie far from the origin
    return float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2)


def is_simple(corners: np.ndarray) -> bool:
    """Whether no two edges of a closed line of shape (V, 2) meet but in the vertex they share."""
    number = len(corners)
    edges = [(corners[i], corners[(i + 1) % number]) for i in range(number)]
    if any(np.array_equal(start, end) for start, end in edges) or signed_area(corners) == 0:
        return False
    for i in range(number):
        before, corner, after = corners[i - 1], corners[i], corners[(i + 1) % number]
        folded = _turn(before, corner, after) == 0 and np.dot(corner - before, after - corner) < 0
        neighbours = {i, (i + 1) % number, (i - 1) % number}
        if folded or any(_meet(edges[i], edges[j]) for j in range(i) if j not in neighbours):
            return False
    return True


def triangulate(corners: np.ndarray) -> tuple[tuple[int, int, int], ...]:
    """Triangles of a simple polygon of shape (V, 2), as indices of its vertices.

    Raises:
      ValueError: A vertex lies so near to an edge that rounding hides on which side.
    """
    left = list(range(len(corners)))
    if signed_area(corners) < 0:
        left.reverse()
    triangles = []
    while len(left) > 3:
        at = next((i for i in range(len(left)) if _is_ear(corners, left, i)), None)
        if at is None:
            raise ValueError("the polygon cannot be cut into triangles: some of its edges nearly touch.")
        triangle = (left[at - 1], left[at], left[(at + 1) % len(left)])
        if _turn(*corners[list(triangle)]) > 0:  # a vertex on a straight line cuts nothing off
            triangles.append(triangle)
        del left[at]
    return (*triangles, (left[0], left[1], left[2]))


def _is_ear(corners: np.ndarray, left: list[int], at: int) -> bool:
    """Whether the triangle of a vertex and its neighbours lies inside of what is left."""
    around = (left[at - 1], left[at], left[(at + 1) % len(left)])
    a, b, c = corners[list(around)]
    if _turn(a, b, c) < 0:
        return False
    if _turn(a, b, c) == 0:
        return True
    others = [corners[i] for i in left if i not in around]
    return not any(min(_turn(a, b, p), _turn(b, c, p), _turn(c, a, p)) >= 0 for p in others)


def _meet(one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]) -> bool:
    """Whether two segments have a point in common."""
    (a, b), (c, d) = one, other
    turns = [np.sign(_turn(*points)) for points in ((a, b, c), (a, b, d), (c, d, a), (c, d, b))]
    if turns == [0, 0, 0, 0]:  # on one line: they meet if their boxes do
        return bool(
            np.all(np.maximum(a, b) >= np.minimum(c, d)) and np.all(np.maximum(c, d) >= np.minimum(a, b))
        )
    return turns[0] * turns[1] <= 0 and turns[2] * turns[3] <= 0


def _turn(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> float:
    """Twice the area of a triangle: positive for a turn to the left."""
    (x, y), (v, w) = b - a, c - a
    return float(x * w - y * v)

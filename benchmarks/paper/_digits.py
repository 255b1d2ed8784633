"""Handwritten digits: MNIST, or the small set that scikit-learn carries."""

import dataclasses
import hashlib
from pathlib import Path

import numpy as np

_FILES = {
    "train_images": "train-images-idx3-ubyte",
    "train_labels": "train-labels-idx1-ubyte",
    "test_images": "t10k-images-idx3-ubyte",
    "test_labels": "t10k-labels-idx1-ubyte",
}


@dataclasses.dataclass(frozen=True)
class Digits:
    """Images of shape (N, pixels) with values in [0, 1], float32, and labels of shape (N,), int32.

    Args:
      name: what they are, for figures and tables.
    """

    name: str
    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray

    @property
    def checksum(self) -> str:
        """Tells one data set from another."""
        digest = hashlib.sha256()
        for name in _FILES:
            digest.update(np.ascontiguousarray(getattr(self, name)).tobytes())
        return digest.hexdigest()[:16]


def mnist(folder: Path | None) -> Digits:
    """MNIST, 60,000 training and 10,000 test images of 28×28 pixels.

    Args:
      folder: with the four IDX files, unpacked; None fetches MNIST from OpenML, once.

    Raises:
      FileNotFoundError: a file is not in the folder.
      ValueError: a file is no IDX file.
      ConnectionError: OpenML cannot be reached.
    """
    if folder is not None:
        arrays = [_read_idx(folder / name) for name in _FILES.values()]
    else:
        from sklearn.datasets import fetch_openml

        try:
            images, labels = fetch_openml("mnist_784", version=1, return_X_y=True, as_frame=False)
        except OSError as error:
            raise ConnectionError(
                f"MNIST could not be fetched from OpenML ({error}); give --mnist-folder, a folder with the "
                f"unpacked files {', '.join(_FILES.values())}, or take --dataset digits."
            ) from error
        arrays = [images[:60_000], labels[:60_000], images[60_000:], labels[60_000:]]
    return _digits("MNIST", arrays, largest=255)


def bundled_digits() -> Digits:
    """The 1,797 digits of 8×8 pixels that scikit-learn carries; a fifth of them, by class, for testing."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, labels = load_digits(return_X_y=True)
    train, test = train_test_split(np.arange(len(labels)), test_size=0.2, random_state=0, stratify=labels)
    arrays = [images[train], labels[train], images[test], labels[test]]
    return _digits("scikit-learn's 8×8 digits (not MNIST)", arrays, largest=16)


def _digits(name: str, arrays: list[np.ndarray], largest: int) -> Digits:
    train, train_labels, test, test_labels = arrays
    images = lambda values: (values.reshape(len(values), -1) / largest).astype(np.float32)
    labels = lambda values: values.astype(np.int32)
    return Digits(name, images(train), labels(train_labels), images(test), labels(test_labels))


def _read_idx(path: Path) -> np.ndarray:
    """An array of bytes in the IDX format: two zero bytes, the type 8, rank, big-endian sizes, data."""
    data = path.read_bytes()
    rank = data[3] if data[:3] == b"\0\0\x08" else 0
    shape = tuple(int.from_bytes(data[4 + 4 * i : 8 + 4 * i], "big") for i in range(rank))
    if rank == 0 or len(data) != 4 + 4 * rank + int(np.prod(shape)):
        raise ValueError(f"{path} is not an IDX file of bytes; unpack it if it is compressed.")
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape)

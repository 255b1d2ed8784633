"""The limit of BLAS threads: inside the block, not outside, nested and in several threads."""

import threading

import numpy as np
import pytest
import scipy.linalg
import threadpoolctl

from pinns._threads import limited_blas_threads


def num_threads():
    """The threads of every BLAS that is loaded."""
    return [pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]


@pytest.fixture(autouse=True)
def _two_threads():
    """Two threads for every BLAS, whatever the environment and the machine give it."""
    scipy.linalg.cho_factor(np.eye(2))
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        if max(num_threads(), default=1) < 2:
            # e.g. a BLAS that is built without threads: there is nothing that could be limited
            pytest.skip("no BLAS here has more than one thread")
        yield


def test_there_is_one_thread_inside_and_as_many_as_before_outside():
    before = num_threads()
    with limited_blas_threads():
        assert set(num_threads()) == {1}
    assert num_threads() == before


def test_an_error_inside_restores_the_threads():
    before = num_threads()
    with pytest.raises(KeyError), limited_blas_threads():
        raise KeyError
    assert num_threads() == before


def test_the_limit_holds_until_the_outer_of_two_nested_blocks_ends():
    before = num_threads()
    with limited_blas_threads():
        with limited_blas_threads():
            assert set(num_threads()) == {1}
        assert set(num_threads()) == {1}
    assert num_threads() == before


def test_the_limit_holds_until_the_last_of_two_threads_leaves():
    before = num_threads()
    entered, leave, left = threading.Event(), threading.Event(), threading.Event()

    def other():
        with limited_blas_threads():
            entered.set()
            leave.wait(10)
        left.set()

    thread = threading.Thread(target=other)
    with limited_blas_threads():
        thread.start()
        assert entered.wait(10)
    after_the_first = num_threads()
    leave.set()
    assert left.wait(10)
    thread.join()
    assert set(after_the_first) == {1}
    assert num_threads() == before


def test_the_block_may_be_entered_again():
    before = num_threads()
    for _ in range(2):
        with limited_blas_threads():
            assert set(num_threads()) == {1}
        assert num_threads() == before

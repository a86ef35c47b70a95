"""Work shared out among threads, and the memory it may take."""

import threading
import time

import pytest

from dsrg.io.workers import MemoryBudget, available_memory


def test_claims_never_pass_the_budget():
    """Eight threads, three claims of 30 fit into 100 at a time."""
    budget, lock, held, most = MemoryBudget(100), threading.Lock(), [0], [0]

    def work():
        for _ in range(5):
            with budget.claim(30):
                with lock:
                    held[0] += 30
                    most[0] = max(most[0], held[0])
                time.sleep(0.002)
                with lock:
                    held[0] -= 30

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert held[0] == 0 and 30 < most[0] <= 90


def test_a_claim_above_the_budget_waits_until_it_is_alone():
    budget, order = MemoryBudget(100), []

    def large():
        with budget.claim(500):
            order.append("large")

    with budget.claim(10):
        thread = threading.Thread(target=large)
        thread.start()
        time.sleep(0.05)
        order.append("small")
    thread.join(60)
    assert order == ["small", "large"]


def test_a_failed_step_gives_its_share_back():
    budget, done = MemoryBudget(10), []

    def steps():
        for step in range(3):
            with pytest.raises(KeyError), budget.claim(10):
                raise KeyError
            done.append(step)

    thread = threading.Thread(target=steps, daemon=True)    # a share that is kept would let the next step wait for ever
    thread.start()
    thread.join(30)
    assert done == [0, 1, 2]


def test_available_memory_is_some_of_the_machines():
    assert available_memory() is None or 0 <= available_memory() < 1 << 50

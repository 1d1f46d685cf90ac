"""
Who owns a reservation, and whether that process may still be there.
"""

import os
import subprocess
import sys

import pytest
from clocks import ManualClock

from solvent.stores._owner import is_alive, is_there, this_process


@pytest.fixture
def clock():
    return ManualClock()


def test_this_process_is_there_until_the_machine_starts_anew(clock):
    owner = this_process(clock)
    assert is_alive(owner, clock=clock)
    clock.reboot()
    assert not is_alive(owner, clock=clock)


def test_a_process_that_ended_is_not_there_nor_one_that_has_its_number_now(clock):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    boot, _, start = this_process(clock).split("/")
    assert not is_alive(f"{boot}/{ended.pid}/{start}", clock=clock)
    assert not is_alive(f"{boot}/{os.getpid()}/1", clock=clock)


@pytest.mark.skipif(sys.platform != "linux", reason="PID namespaces are Linux's")
def test_a_process_of_another_container_cannot_be_called_dead_from_here(clock):
    boot, pid, start = this_process(clock).split("/")
    elsewhere = f"{boot}/{pid}/1@4026530000"
    assert "@" in start
    assert is_alive(elsewhere, clock=clock)
    assert is_there(elsewhere, clock=clock) is None
    clock.reboot()
    assert not is_alive(elsewhere, clock=clock)
    assert is_there(elsewhere, clock=clock) is False

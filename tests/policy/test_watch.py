"""
A policy's files, looked at again: what changed is read once it is whole, and what is wrong is told once.
"""

import os
import time

import pytest

from solvent.errors import SettingsError
from solvent.policy import Policy
from solvent.policy._find import PolicyFiles
from solvent.policy._watch import SETTLED_NS, PolicyWatch


class Watched:
    """
    A file that is watched; each time that a test writes it, it was written long enough ago.
    """

    def __init__(self, path):
        self.path = path
        self.written = 0
        self.watch = PolicyWatch(PolicyFiles(named=path))
        self.current = Policy()

    def write(self, text, ago_ns=60_000_000_000):
        self.path.write_text(text)
        self.written += 1
        at_ns = time.time_ns() - ago_ns + self.written
        os.utime(self.path, ns=(at_ns, at_ns))

    def look(self):
        return self.watch.look(self.current)


@pytest.fixture
def watched(tmp_path):
    watched = Watched(tmp_path / "solvent.yaml")
    watched.write("wait: 1s")
    return watched


def test_a_file_is_read_again_only_when_it_changed(watched):
    assert watched.look().wait_seconds == 1
    assert watched.look() is None
    watched.write("wait: 2s")
    assert watched.look().wait_seconds == 2
    assert watched.look() is None
    os.utime(watched.path, ns=(1, 1))
    assert watched.look().wait_seconds == 2  # It was touched.


def test_another_file_of_the_same_time_and_size_is_another_one(watched, tmp_path):
    watched.look()
    other = tmp_path / "other"
    other.write_text("wait: 2s")
    found = watched.path.stat()
    os.utime(other, ns=(found.st_atime_ns, found.st_mtime_ns))
    other.rename(watched.path)
    assert watched.look().wait_seconds == 2


def test_what_is_wrong_is_told_once_and_what_is_wrong_then_again(watched):
    watched.look()
    watched.write("wait: soon")
    with pytest.raises(SettingsError, match="wait: expected a length of time"):
        watched.look()
    assert watched.look() is None
    watched.write("wait: soon")
    assert watched.look() is None
    watched.write("wait: sooner")
    with pytest.raises(SettingsError, match="'sooner'"):
        watched.look()
    watched.write("wait: 1s")
    assert watched.look().wait_seconds == 1
    watched.write("wait: sooner")
    with pytest.raises(SettingsError, match="'sooner'"):
        watched.look()


def test_a_file_that_may_still_be_written_is_left_until_it_is_whole(watched):
    watched.look()
    watched.write("wait: 2s", ago_ns=SETTLED_NS // 2)
    assert watched.look() is None
    watched.write("wait: 2s", ago_ns=SETTLED_NS * 2)
    assert watched.look().wait_seconds == 2
    watched.write("wait: 3s", ago_ns=-SETTLED_NS * 60)  # By a clock that is ahead.
    assert watched.look().wait_seconds == 3


def test_a_file_in_force_that_is_gone_lifts_nothing(watched):
    watched.current = watched.look()
    watched.path.unlink()
    with pytest.raises(SettingsError, match="expected a policy file that can be read, got an error: No such file"):
        watched.look()
    assert watched.look() is None
    watched.write("wait: 2s")
    assert watched.look().wait_seconds == 2


def test_a_found_file_that_is_gone_lifts_nothing_and_one_that_comes_is_followed(tmp_path):
    here = tmp_path / "solvent.yaml"
    watch = PolicyWatch(PolicyFiles(own=tmp_path / "own.yaml", folders=here))
    assert watch.look(Policy()) == Policy()
    here.write_text("wait: 2s")
    os.utime(here, ns=(1, 1))
    found = watch.look(Policy())
    assert (found.wait_seconds, found.files) == (2, (str(here),))
    here.unlink()
    with pytest.raises(SettingsError) as refused:
        watch.look(found)
    assert str(refused.value) == (
        f"{here}: expected the policy file that is in force, got none\n"
        "To go on: put it back, or restart the program to go without."
    )

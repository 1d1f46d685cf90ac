"""
``solvent.testing``, as those use it who test a store of their own.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import solvent.testing
from solvent.testing import absent


def test_public_names_are_there():
    for name in solvent.testing.__all__:
        assert getattr(solvent.testing, name)
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = solvent.testing.Nothing


@pytest.mark.slow
def test_a_clock_and_histories_need_no_pytest():
    program = "import sys, solvent.testing; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert not {name.split(".")[0] for name in loaded} & {"hypothesis", "pytest"}


def test_a_store_whose_server_is_absent_is_skipped_with_its_reason(monkeypatch):
    monkeypatch.delenv("REQUIRE_STORES", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no redis-server"):
        absent("no redis-server")


def test_where_all_stores_are_required_an_absent_one_is_a_failure(monkeypatch):
    monkeypatch.setenv("REQUIRE_STORES", "all")
    with pytest.raises(pytest.fail.Exception, match="no redis-server"):
        absent("no redis-server")


@pytest.mark.slow
def test_the_guide_tests_a_store_of_ones_own(tmp_path):
    guide = (Path(__file__).parent.parent / "docs" / "guides" / "test-a-store.md").read_text()
    (program,) = re.findall(r"^```python\n(.*?)^```", guide, flags=re.M | re.S)
    (tmp_path / "test_mine.py").write_text(program)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "refusal or batch", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout

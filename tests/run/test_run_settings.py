import pytest

from solvent.run._settings import scope_of_run


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (["python", "tools/agent.py", "--fast"], "agent.py"),
        (["python3", "-u", "agent.py"], "agent.py"),
        (["python", "-m", "agents.triage"], "agents.triage"),
        (["python", "-c", "print('a long text')"], "python"),
        (["uv", "run", "agent.py"], "agent.py"),
        (["node", "agent.mjs"], "agent.mjs"),
        (["/usr/local/bin/claude", "--continue"], "claude"),
        (["./a b$c"], "abc"),
    ],
)
def test_a_run_is_named_after_its_program(command, name):
    ((kind, found),) = scope_of_run(None, command).parts
    assert kind == "run"
    assert found.rpartition("-")[0] == name
    assert len(found.rpartition("-")[2]) == 26  # A new id each time.


def test_a_run_that_is_named_has_that_name():
    assert str(scope_of_run("nightly", ["python"])) == "run:nightly"

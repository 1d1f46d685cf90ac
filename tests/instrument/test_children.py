"""
What processes that are started in a budget go on with, however they are started.

Calls are counted by what the ledger has; that real clients in them are held is for ``e2e/test_carriers.py`` to show.
"""

import _thread
import asyncio
import logging
import multiprocessing
import os
import platform
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager

import pytest
import uvloop

import solvent
from solvent._place import current_place
from solvent._runtime import PROCESS
from solvent.instrument import _handing
from solvent.instrument._handing import environment
from solvent.policy import Policy

pytestmark = pytest.mark.slow

SCOPE = "import os; print(os.environ.get('SOLVENT_SCOPE', '').partition(';')[0])"
SHOW = [sys.executable, "-c", SCOPE]
METHODS = ["fork", "spawn", "forkserver"]


@pytest.fixture
def ledger(tmp_path):
    return f"sqlite:///{tmp_path}/ledger.db"


@pytest.fixture
def policy():
    return Policy(wait_seconds=0)


@pytest.fixture(autouse=True)
def nothing_told(monkeypatch):
    monkeypatch.setattr(_handing, "_told", set())
    for name in ("SOLVENT_GATEWAY", "SOLVENT_SCOPE"):
        monkeypatch.delenv(name, raising=False)


def run():
    return subprocess.run(SHOW, capture_output=True, text=True, check=True).stdout


def check_output_with_env():
    return subprocess.check_output(SHOW, text=True, env={"PATH": os.environ["PATH"]})


def bytes_env():
    return subprocess.check_output(SHOW, text=True, env={b"PATH": os.fsencode(os.environ["PATH"])})


def placed_env():
    return subprocess.Popen(
        SHOW, -1, None, None, subprocess.PIPE, None, None, True, False, None, dict(os.environ), text=True
    ).communicate()[0]


def by_shell():
    return subprocess.getoutput("echo $SOLVENT_SCOPE | cut -d';' -f1") + "\n"


async def _exec():
    child = await asyncio.create_subprocess_exec(*SHOW, stdout=subprocess.PIPE)
    return (await child.communicate())[0].decode()


async def _shell():
    child = await asyncio.create_subprocess_shell("echo ${SOLVENT_SCOPE%;*}", stdout=subprocess.PIPE)
    return (await child.communicate())[0].decode()


def in_uvloop(scene):
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(scene())


def said(start):
    """
    What a program writes that is started by a function with the end of a pipe as its standard output.
    """
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    pid = start(writing)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    assert os.waitpid(pid, 0)[1] == 0
    return text


def posix_spawn():
    return said(
        lambda out: os.posix_spawn(sys.executable, SHOW, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, out, 1)])
    )


def spawned(function, *env):
    text = "import os, sys; os.write(int(sys.argv[1]), os.environ.get('SOLVENT_SCOPE', '').partition(';')[0].encode())"
    words = [sys.executable, "python", "-c", text]
    return lambda: said(lambda out: function(os.P_NOWAIT, *words, str(out), *env)) + "\n"


WAYS = {
    "subprocess.run": run,
    "env=": check_output_with_env,
    "env= of bytes": bytes_env,
    "env by its place": placed_env,
    "getoutput": by_shell,
    "asyncio exec": lambda: asyncio.run(_exec()),
    "asyncio shell": lambda: asyncio.run(_shell()),
    "uvloop exec": lambda: in_uvloop(_exec),
    "uvloop shell": lambda: in_uvloop(_shell),
    "os.posix_spawn": posix_spawn,
    "os.spawnl": spawned(os.spawnl),
    "os.spawnle": spawned(os.spawnle, {"PATH": "/bin"}),
    "os.spawnlp": spawned(os.spawnlp),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.usefixtures("guarded")
def test_a_program_is_told_the_budget_that_it_is_started_in(way):
    assert WAYS[way]() == "\n"
    with solvent.budget("outer"), solvent.budget("job") as budget:
        assert WAYS[way]() == f"{budget.scope}\n"
    assert WAYS[way]() == "\n"


@pytest.mark.usefixtures("guarded")
def test_after_uninstall_nothing_is_told():
    solvent.uninstall()
    with solvent.budget("job"):
        assert run() == "\n"


@pytest.mark.usefixtures("guarded")
def test_an_environment_that_names_a_scope_of_its_own_keeps_it():
    with solvent.budget("job"):
        for own in ("run:other", ""):
            assert subprocess.check_output(SHOW, text=True, env={"SOLVENT_SCOPE": own}) == f"{own}\n"


@pytest.mark.usefixtures("guarded")
def test_an_environment_that_names_a_budget_around_is_of_that_one():
    with solvent.budget("outer") as outer, solvent.budget("inner"):
        env, block = environment(outer.carry().environ)
        assert block.budget is outer
        assert env["SOLVENT_SCOPE"] == str(outer.carry())


@pytest.mark.usefixtures("guarded")
def test_what_this_process_inherited_is_handed_on_where_an_environment_leaves_it_out(monkeypatch):
    monkeypatch.setenv("SOLVENT_SCOPE", "run:42")
    assert check_output_with_env() == "run:42\n"
    with solvent.budget("job") as budget:
        assert str(budget.scope).startswith("run:42/step:job-")
        assert check_output_with_env() == f"{budget.scope}\n"


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.usefixtures("guarded")
def test_code_that_lost_its_context_hands_on_what_the_open_budgets_have_in_common(strict):
    solvent.install(strict=strict)
    with solvent.budget("outer") as outer, solvent.budget("inner"):
        handed = []
        in_no_context(handed)
        ((env, error),) = handed
        if strict:
            assert isinstance(error, solvent.Unbounded)
        else:
            assert env["SOLVENT_SCOPE"].partition(";")[0] == str(outer.scope)


def in_no_context(handed):
    """
    As a thread of a library's own: it runs in none of the functions that stand in the budgets.
    """
    done = _thread.allocate_lock()
    done.acquire()

    def go():
        try:
            handed.append((environment(None)[0], None))
        except solvent.SolventError as error:
            handed.append((None, error))
        done.release()

    _thread.start_new_thread(go, ())
    assert done.acquire(timeout=30)


@pytest.mark.parametrize("ledger", ["memory://"])
@pytest.mark.usefixtures("guarded")
def test_a_ledger_in_memory_that_reaches_no_process_is_told_once(caplog):
    with solvent.budget("job"), caplog.at_level(logging.WARNING, "solvent"):
        assert [run(), run()] == ["\n", "\n"]
        with ProcessPoolExecutor(1) as pool:
            assert pool.submit(abs, -1).result() == 1
    (record,) = [record for record in caplog.records if "not held to it" in record.message]
    assert "expected a ledger that other processes can reach, got memory://" in record.message


@pytest.mark.parametrize("ledger", ["memory://"])
@pytest.mark.usefixtures("guarded")
def test_in_strict_mode_it_starts_none():
    solvent.install(strict=True)
    with solvent.budget("job"), ProcessPoolExecutor(1) as pool:
        for start in (run, lambda: pool.submit(abs, -1), multiprocessing.Process(target=print).start):
            with pytest.raises(solvent.SettingsError, match="got memory://"):
                start()


@pytest.mark.parametrize("ledger", ["memory://"])
@pytest.mark.usefixtures("guarded")
def test_what_python_asks_the_machine_is_no_child_of_a_budget(caplog):
    with solvent.budget("job"), caplog.at_level(logging.WARNING, "solvent"):
        platform._Processor.from_subprocess()
    assert caplog.records == []


def spend(times):
    """
    How many calls of three cents pass.
    """
    passed = 0
    for _ in range(times):
        try:
            with solvent.call("work", usd="0.03"):
                passed += 1
        except solvent.BudgetExceeded:
            break
    return passed


def spend_and_tell(times, ends):
    ends.put((spend(times), PROCESS.is_hooked, str(solvent.current_budget().scope)))


def scope_here(_=None):
    return str(current_place().scope)


@pytest.mark.parametrize("method", METHODS)
def test_a_process_spends_of_the_budget_that_it_is_started_in(method, guarded):
    context = multiprocessing.get_context(method)
    ends = context.Queue()
    with solvent.budget("job", usd="0.20") as budget:
        spend(1)
        process = context.Process(target=spend_and_tell, args=(9, ends))
        process.start()
        assert ends.get(timeout=60) == (5, True, str(budget.scope))
        process.join()
        assert spend(9) == 0
    assert guarded.spent() == 6 * 30_000_000
    assert "_solvent" not in vars(process)


@contextmanager
def pools(method):
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(1, mp_context=context) as executor, context.Pool(1) as pool:
        yield {
            "submit": lambda function, *args: executor.submit(function, *args).result(60),
            "Executor.map": lambda function, *args: next(executor.map(function, *[[arg] for arg in args])),
            "apply": lambda function, *args: pool.apply(function, args),
            "Pool.map": lambda function, arg: pool.map(function, [arg])[0],
            "imap": lambda function, arg: next(pool.imap(function, [arg])),
            "starmap": lambda function, *args: pool.starmap(function, [args])[0],
        }


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.usefixtures("guarded")
def test_a_task_of_a_pool_is_of_the_budget_of_who_submits_it(method):
    with solvent.budget("of who makes the pool") as maker, pools(method) as ways:
        of_maker = {name: go(scope_here, 0) for name, go in ways.items()}
        with solvent.budget("inner", usd="0.20") as inner:
            of_inner = {name: go(scope_here, 0) for name, go in ways.items()}
            passed = sum(go(spend, 2) for go in ways.values())
            with pytest.raises(solvent.BudgetExceeded) as refused:
                ways["submit"](spend_hard, 1)
    assert set(of_maker.values()) == {str(maker.scope)}
    assert set(of_inner.values()) == {str(inner.scope)}
    assert passed == 6
    assert refused.value.scope == str(inner.scope)


def spend_hard(_):
    with solvent.call("work", usd="0.03"):
        pass


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.usefixtures("guarded")
def test_a_task_that_is_submitted_in_no_budget_has_none(method):
    own = scope_here()
    with solvent.budget("of who makes the pool"):
        made = pools(method)
        ways = made.__enter__()
        ways["submit"](scope_here, 0)
    assert {name: go(scope_here, 0) for name, go in ways.items()} == dict.fromkeys(ways, own)
    made.__exit__(None, None, None)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.usefixtures("guarded")
def test_outside_of_budgets_a_process_is_of_the_run_of_the_program(method):
    context = multiprocessing.get_context(method)
    with context.Pool(1) as pool:
        assert pool.apply(scope_here) == scope_here()
        assert pool.apply(is_hooked)


def is_hooked():
    return PROCESS.is_hooked

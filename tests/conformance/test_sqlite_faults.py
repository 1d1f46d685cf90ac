"""
What an SQLite ledger does when its process forks, its disk fails or fills up, or its file is taken away.

Each fault is the real one: real processes, real locks, real system calls that fail.
"""

import errno
import fcntl
import json
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from contextlib import closing, suppress
from pathlib import Path

import apsw
import pytest
from clocks import ManualClock
from faulty_vfs import FaultyDisk

from solvent._operations import Charge, Extend, Release, Reserve, Reserved, Settle
from solvent._records import Account
from solvent.errors import LedgerCorrupt, OutcomeUnknown, SettingsError, SolventError, StoreUnavailable
from solvent.stores import open_store
from solvent.stores._local_disk import NETWORK_FILE_SYSTEMS, file_system, read_mounts
from solvent.stores._sqlite_file import SQLiteFile

RUN_USD = Account("run:1", "usd")
linux = pytest.mark.skipif(sys.platform != "linux", reason="it is told by Linux's /proc, or a Linux system call")


def reserve(id="a", amount=60, limit=100):
    return Reserve.of(id=id, scope="run:1", charges=(Charge(account=RUN_USD, amount=amount, limit=limit),))


def settle(id="a", amount=60):
    return Settle(id=id, actual={"usd": amount})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "ledger.db"


@pytest.fixture
def store(path):
    return open_store(f"sqlite:///{path}")


def reserved(store, **terms):
    (answer,) = store.apply([reserve(**terms)])
    return isinstance(answer, Reserved)


def forked(work):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)  # As at a kill: nothing is closed.
    return pid


def end_well(*pids):
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids] == [0] * len(pids)


def spend(store, name, times):
    for number in range(times):
        id = f"{name}-{number}"
        reservation, closed = store.apply([reserve(id, amount=3, limit=10_000), settle(id, amount=2)])
        assert isinstance(reservation, Reserved)
        assert closed.state == "settled"


# Forks


@pytest.mark.slow
def test_children_and_parent_go_on_with_the_store_that_was_open_before_the_fork(store):
    reserved(store, id="before", amount=1, limit=10_000)
    children = [forked(lambda name=name: spend(store, name, 50)) for name in "abcd"]
    spend(store, "parent", 50)
    end_well(*children)
    (balance,) = store.balances()
    assert (balance.spent, balance.reserved) == (5 * 50 * 2, 1)
    assert store.verify() is None


def test_forked_workers_share_the_limit(store):
    def work(name):
        sys.exit(0 if reserved(store, id=name, amount=40, limit=100) else 3)

    workers = [multiprocessing.get_context("fork").Process(target=work, args=(name,)) for name in "abcd"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(worker.exitcode for worker in workers) == [0, 0, 3, 3]
    (balance,) = store.balances()
    assert (balance.spent, balance.reserved) == (0, 80)
    assert store.expire() == 2  # Their owners are dead.
    assert store.verify() is None


def test_what_a_child_writes_stays_when_its_parent_closes_first(store, path):
    reserved(store, id="before", amount=10)
    opened, closed = multiprocessing.Event(), multiprocessing.Event()

    def work():
        store.balances()
        opened.set()
        closed.wait()
        assert reserved(store, id="child", amount=20)

    child = forked(work)
    opened.wait()
    store.close()
    closed.set()
    end_well(child)
    assert {entry.id for entry in open_store(f"sqlite:///{path}").entries()} == {"before", "child"}


@linux
def test_a_child_inherits_nothing_open_of_the_ledger(store, path):
    generation = store._file.generation

    def work():
        open_files = [os.path.realpath(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd")]
        assert [file for file in open_files if file.startswith(str(path))] == []
        assert store._file.generation == generation + 1

    end_well(forked(work))


def test_a_fork_waits_until_another_thread_has_written(path):
    file = SQLiteFile(path, synchronous="FULL")
    inside, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def write():
        with file.transaction():
            inside.set()
            go_on.wait()
            file.connection.execute("INSERT INTO meta VALUES ('written', 1)")
        ended.set()

    writer = threading.Thread(target=write)
    writer.start()
    inside.wait()
    threading.Timer(0.05, go_on.set).start()

    def work():
        with file.transaction():
            assert file.row("SELECT value FROM meta WHERE key = 'written'") == (1,)
            file.connection.execute("UPDATE meta SET value = 2 WHERE key = 'written'")

    end_well(forked(work))
    writer.join()
    assert file.row("SELECT value FROM meta WHERE key = 'written'") == (2,)


def test_a_fork_waits_for_a_long_read(path):
    file = SQLiteFile(path, synchronous="FULL")
    inside, go_on = threading.Event(), threading.Event()

    def read():
        with file.reader() as reader:
            assert reader.execute("SELECT count(*) FROM entry").get == 0
            inside.set()
            go_on.wait()

    thread = threading.Thread(target=read)
    thread.start()
    inside.wait()
    threading.Timer(0.05, go_on.set).start()
    end_well(forked(lambda: go_on.is_set() or sys.exit("forked in the midst of it")))
    thread.join()


@pytest.mark.slow
def test_threads_write_while_their_process_forks(path):
    file = SQLiteFile(path, synchronous="NORMAL")
    with file.transaction():
        file.connection.execute("INSERT INTO meta VALUES ('sum', 0)")

    def add(times):
        for _ in range(times):
            with file.transaction():
                file.connection.execute("UPDATE meta SET value = value + 1 WHERE key = 'sum'")

    threads = [threading.Thread(target=add, args=(100,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    end_well(*[forked(lambda: add(10)) for _ in range(10)])
    for thread in threads:
        thread.join()
    assert file.row("SELECT value FROM meta WHERE key = 'sum'") == (500,)


def test_a_child_does_not_keep_the_gate_that_its_parent_gave_up(store, path, monkeypatch):
    stranger = open(f"{path}-gate")  # noqa: SIM115  # Closed below, before the child ends.
    fcntl.flock(stranger, fcntl.LOCK_EX)
    with monkeypatch.context() as impatient:
        impatient.setattr("solvent.stores._sqlite_file.BUSY_MILLISECONDS", 20)
        with pytest.raises(StoreUnavailable):
            reserved(store)
    done = multiprocessing.Event()
    stranger_of_child = stranger.fileno()

    def work():
        os.close(stranger_of_child)
        done.wait()

    child = forked(work)
    stranger.close()
    for thread in threading.enumerate():
        if thread.name == "solvent-gate":
            thread.join()  # It got the gate at last, and let go of it.
    assert reserved(store)
    done.set()
    end_well(child)


@linux
def test_a_second_store_on_a_file_leaves_the_locks_of_the_first(store, path):
    def locks():
        mine = f"{os.getpid()}", f":{path.stat().st_ino} "
        return [
            line.split()[1:] for line in Path("/proc/locks").read_text().splitlines() if all(m in line for m in mine)
        ]

    assert reserved(store)
    before = locks()
    open_store(f"sqlite:///{path}")
    assert locks() == before != []


# A disk that fails


STEPS = ("reserve a", "settle a", "reserve b", "extend b", "release b", "reserve c", "expire c")


def take(step, store, clock):
    """
    One step: "yes", "no", "unknown", or the name of the error that is its answer.
    """
    kind, id = step.split()
    operations = {
        "reserve": reserve(id, amount=10),
        "settle": settle(id, amount=7),
        "extend": Extend(id=id, ttl_seconds=120, so_far={"usd": 5}),
        "release": Release(id=id, reason="not_sent"),
    }
    try:
        if kind == "expire":
            clock.advance(seconds=1_000)
            return "yes" if store.expire() else "nothing"
        (answer,) = store.apply([operations[kind]])
        return type(answer).__name__ if isinstance(answer, SolventError) else "yes"
    except StoreUnavailable:
        return "no"
    except OutcomeUnknown:
        return "unknown"


def play_on_a_faulty_disk(path, answers, *, call, number, first, count, opening):
    disk, clock, given = FaultyDisk(call, number), ManualClock(), {}
    apsw.connection_hooks.append(lambda connection: connection.wal_autocheckpoint(20))
    if opening:
        disk.fail(first, count=count)
    try:
        store = open_store(f"sqlite:///{path}", clock=clock)
    except (StoreUnavailable, OutcomeUnknown):
        given = dict.fromkeys(STEPS, "no")
    else:
        if not opening:
            disk.fail(first, count=count)
        given = {step: take(step, store, clock) for step in STEPS}
        if first % 2:
            store.close()  # Else it is as after a kill.
    answers.write(json.dumps([given, disk.calls >= first]).encode())
    answers.flush()


def reopened_after(path, **fault):
    """
    The store after a fault and a crash, what it had answered, and whether the fault came at all.
    """
    reading, writing = os.pipe()
    with open(reading, "rb") as answers, open(writing, "wb") as ours:
        child = forked(lambda: play_on_a_faulty_disk(path, ours, **fault))
        ours.close()
        given, came = json.loads(answers.read() or b"[{}, false]")
    end_well(child)
    return open_store(f"sqlite:///{path}", clock=ManualClock()), given, came


def assert_every_answer_was_true(store, given):
    def written():
        return [f"{entry.kind} {entry.id}" for entry in store.entries()]

    assert store.verify() is None
    recorded = written()
    for step, answer in given.items():
        if not step.startswith("extend"):
            assert answer != "yes" or step in recorded, f"lost: {step} in {given}"
            assert answer in ("yes", "unknown") or step not in recorded, f"not told: {step} in {given}"
    clock = ManualClock()
    for _ in range(2):
        for step, answer in given.items():
            if answer == "unknown":
                assert take(step, store, clock) in ("yes", "nothing", "ReservationNotFound", "ReservationClosed")
    assert len(written()) == len(set(written()))
    assert store.verify() is None


long = pytest.mark.long
FAULTS = (  # The call, its error, how many from the first on, and whether opening counts.
    ("pwrite64", errno.ENOSPC, 1, False),
    ("pwrite64", errno.EIO, 1, False),
    ("fcntl", errno.EIO, 1, False),
    ("sync", errno.EIO, 1, False),
    ("sync", errno.EIO, 10_000, False),
    ("ftruncate", errno.EIO, 1, True),
    ("mmap", errno.ENOMEM, 1, True),
    ("open", errno.EMFILE, 1, True),
    pytest.param("pwrite64", errno.ENOSPC, 10_000, True, marks=long),
    pytest.param("pwrite64", errno.EIO, 1, True, marks=long),
    pytest.param("pwrite64", errno.EIO, 10_000, True, marks=long),
    pytest.param("fcntl", errno.EIO, 1, True, marks=long),
)


@linux
@pytest.mark.slow
@pytest.mark.parametrize(("call", "number", "count", "opening"), FAULTS)
def test_whatever_call_to_the_disk_fails_every_answer_is_true(tmp_path, call, number, count, opening):
    for first in range(1, 1_000):
        path = tmp_path / f"{first}" / "ledger.db"
        store, given, came = reopened_after(path, call=call, number=number, first=first, count=count, opening=opening)
        assert_every_answer_was_true(store, given)
        store.close()
        if not came:
            break
    assert first > 1, "the fault never came"
    assert set(given.values()) == {"yes"}


@linux
def test_a_sync_that_fails_in_the_commit_is_an_unknown_outcome_and_counts_once(path):
    store, given, _ = reopened_after(path, call="sync", number=errno.EIO, first=1, count=1, opening=False)
    assert (given["reserve a"], given["settle a"]) == ("unknown", "ReservationNotFound")
    for _ in range(2):
        assert reserved(store, id="a", amount=10)
    assert [entry.kind for entry in store.entries() if entry.id == "a"] == ["reserve"]


@linux
def test_a_disk_that_is_full_in_the_commit_is_a_clean_no(path):
    store, given, _ = reopened_after(path, call="pwrite64", number=errno.ENOSPC, first=1, count=1, opening=False)
    assert (given["reserve a"], given["settle a"]) == ("no", "ReservationNotFound")
    assert [entry.kind for entry in store.entries() if entry.id == "a"] == []


@pytest.mark.slow
def test_a_file_that_may_grow_no_more_loses_nothing(store):
    given = {}

    def work():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        assert reserved(store, id="before", amount=1)
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        size = Path(f"{store._file.path}-wal").stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 5_000, hard))
        for id in "abcdef":
            try:
                given[id] = reserved(store, id=id, amount=1)
            except (StoreUnavailable, OutcomeUnknown) as error:
                given[id] = type(error)
        assert given["f"] in (StoreUnavailable, OutcomeUnknown)
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        assert {entry.id for entry in store.entries()} == {"before", *(id for id in given if given[id] is True)}
        for id in "abcdef":
            assert reserved(store, id=id, amount=1)
        (balance,) = store.balances()
        assert balance.reserved == 7

    end_well(forked(work))
    assert store.verify() is None


def test_an_error_inside_a_transaction_leaves_nothing_of_it(path):
    file = SQLiteFile(path, synchronous="FULL")
    with suppress(ZeroDivisionError), file.transaction():
        file.connection.execute("INSERT INTO meta VALUES ('half', 1)")
        raise ZeroDivisionError
    with file.transaction():
        assert file.row("SELECT count(*) FROM meta WHERE key = 'half'") == (0,)


@linux
@pytest.mark.slow
def test_a_full_disk_refuses_and_goes_on_when_there_is_room(tmp_path):
    program = """
import os, sys
from solvent.errors import StoreUnavailable
from solvent.stores import open_store
from test_sqlite_faults import reserved
store = open_store(f"sqlite:///{sys.argv[1]}/ledger.db")
reserved(store, id="before", amount=1, limit=10_000)
with open(f"{sys.argv[1]}/ballast", "wb", buffering=0) as ballast:
    try:
        while ballast.write(bytes(1024)):
            pass
    except OSError:
        pass
made = 0
try:
    while reserved(store, id=f"{made}", amount=1, limit=10_000):
        made += 1
except StoreUnavailable as error:
    print(error.reason)
(balance,) = store.balances()
assert (balance.reserved, store.verify()) == (1 + made, None)
try:
    open_store(f"sqlite:///{sys.argv[1]}/second/ledger.db")
except StoreUnavailable as error:
    print(error.reason)
os.unlink(f"{sys.argv[1]}/ballast")
assert reserved(store, id=f"{made}", amount=1, limit=10_000)
assert store.verify() is None
"""
    mount = 'mount -t tmpfs -o size=512k tmpfs "$1" && exec "$2" -c "$3" "$1"'
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, "sh", tmp_path, sys.executable]
    paths = os.pathsep.join([*map(str, Path(__file__).parents[:2]), *sys.path])
    done = subprocess.run(
        [*command, program], env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, check=False
    )
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"this machine lets no user mount a small disk: {done.stderr.strip()}")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == "database or disk is full"
    assert len(done.stdout.splitlines()) == 2


# A file that is taken away


@pytest.fixture(params=["just made", "long there"])
def age(request, monkeypatch):
    """
    Whether the folder changed a moment ago, or its time already tells of any change.
    """
    if request.param == "long there":
        monkeypatch.setattr("solvent.stores._sqlite_file.STAMP_SETTLES_NS", -1)


@pytest.mark.usefixtures("age")
def test_a_file_that_was_deleted_is_told_and_nothing_is_written_into_nowhere(store, path):
    assert reserved(store)
    kept = path.rename(path.with_name("kept"))
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match=r"ledger.db was deleted while it was open; put the same file back"):
            reserved(store, id="b", amount=40)
    kept.rename(path)
    assert reserved(store, id="b", amount=40)
    assert {entry.id for entry in store.entries()} == {"a", "b"}
    assert store.verify() is None


def test_another_ledger_in_its_place_is_told_and_left_alone(store, path):
    assert reserved(store)
    for file in path.parent.iterdir():
        file.unlink()
    other = open_store(f"sqlite:///{path}")
    assert reserved(other, id="other")
    with pytest.raises(StoreUnavailable, match=r"ledger.db was replaced while it was open"):
        reserved(store, id="b", amount=40)
    store.close()
    assert Path(f"{path}-wal").exists()  # The other's: the last to close deletes it.
    assert reserved(other, id="more", amount=40)
    assert {entry.id for entry in open_store(f"sqlite:///{path}").entries()} == {"other", "more"}


@pytest.mark.parametrize("ask", ["balances", "groups", "verify"])
def test_no_read_takes_another_ledger_in_its_place_for_its_own(store, path, ask):
    assert reserved(store)
    for file in path.parent.iterdir():
        file.unlink()
    with (
        closing(open_store(f"sqlite:///{path}")),
        pytest.raises(StoreUnavailable, match="was replaced while it was open"),
    ):
        getattr(store, ask)()


def test_closing_alone_leaves_the_journal_of_a_ledger_in_its_place(store, path):
    assert reserved(store)
    for file in path.parent.iterdir():
        file.unlink()
    other = open_store(f"sqlite:///{path}")
    assert reserved(other, id="other")
    store.close()
    assert reserved(other, id="more", amount=40)
    assert {entry.id for entry in open_store(f"sqlite:///{path}").entries()} == {"other", "more"}


@pytest.mark.parametrize("name", ["ledger.db-wal", "ledger.db-shm"])
def test_a_journal_that_was_deleted_is_told_and_nothing_of_it_is_lost(store, path, name):
    assert reserved(store)
    path.with_name(name).unlink()
    with pytest.raises(StoreUnavailable, match=f"{name} was deleted while it was open"):
        reserved(store, id="b", amount=40)
    store.close()
    assert {entry.id for entry in open_store(f"sqlite:///{path}").entries()} == {"a"}


def test_a_folder_that_was_deleted_is_told(store, path):
    path.parent.rename(path.parent.with_name("away"))
    with pytest.raises(StoreUnavailable, match="was deleted while it was open"):
        reserved(store)


def test_a_gate_that_was_deleted_is_made_anew(store, path, monkeypatch):
    monkeypatch.setattr("solvent.stores._sqlite_file.BUSY_MILLISECONDS", 20)
    gate = Path(f"{path}-gate")
    gate.unlink()
    for id in "abc":
        assert reserved(store, id=id, amount=10)
    with open(gate) as stranger:
        fcntl.flock(stranger, fcntl.LOCK_EX)
        with pytest.raises(StoreUnavailable, match="another program has it locked"):
            reserved(store, id="d", amount=10)


def test_a_closed_store_stays_closed(store):
    store.close()
    with pytest.raises(StoreUnavailable, match="it was closed"):
        reserved(store)


# A place that will not do


MOUNTS = """\
proc /proc proc rw,nosuid,nodev,noexec,relatime 0 0
/dev/vda1 / ext4 rw,relatime,errors=remount-ro 0 0
tmpfs /run tmpfs rw,nosuid,nodev,size=1632528k,mode=755 0 0
systemd-1 /home autofs rw,relatime,fd=52,pgrp=1,timeout=0,minproto=5,maxproto=5,direct 0 0
fileserver:/export/home /home nfs4 rw,relatime,vers=4.2,rsize=1048576,hard,proto=tcp,sec=sys 0 0
/dev/vdb1 /home/scratch xfs rw,relatime,attr2,inode64 0 0
//nas/team /mnt/team\\040share cifs rw,relatime,vers=3.1.1,cache=strict,username=a 0 0
me@host:/srv /home/scratch/remote fuse.sshfs rw,nosuid,nodev,relatime,user_id=1000 0 0
C:\\134 /mnt/c 9p rw,noatime,aname=drvfs;path=C:\\;uid=1000,cache=5,trans=fd 0 0
share /workspace virtiofs rw,relatime 0 0
"""


@pytest.mark.parametrize(
    ("place", "kind", "is_refused"),
    [
        ("/var/lib/ledger.db", "ext4", False),
        ("/home/me/.local/state/solvent/ledger.db", "nfs4", True),
        ("/homework/ledger.db", "ext4", False),
        ("/home/scratch/ledger.db", "xfs", False),
        ("/home/scratch/remote/ledger.db", "fuse.sshfs", True),
        ("/mnt/team share/ledger.db", "cifs", True),
        ("/mnt/c/ledger.db", "9p", False),
        ("/workspace/ledger.db", "virtiofs", False),
    ],
)
def test_the_file_system_of_a_path_is_that_of_the_deepest_mount_above(place, kind, is_refused):
    assert file_system(Path(place), read_mounts(MOUNTS)) == kind
    assert (kind in NETWORK_FILE_SYSTEMS) is is_refused


def test_a_network_file_system_is_refused_before_anything_is_made(path, monkeypatch):
    mounts = f"{MOUNTS}fileserver:/export {path.parents[1]} nfs rw,relatime,vers=3 0 0\n"
    monkeypatch.setattr("solvent.stores._local_disk._mounts", lambda: read_mounts(mounts))
    with pytest.raises(SettingsError) as refused:
        open_store(f"sqlite:///{path}")
    assert str(refused.value) == (
        f"ledger: expected a file on a disk of this machine, got {path} on a network file system (nfs), "
        "where locks between machines cannot be trusted\n"
        "To go on: name a file on a local disk with --ledger or SOLVENT_LEDGER."
    )
    assert not path.parent.exists()


def test_two_names_of_a_file_share_its_gate_and_its_url(store, path, tmp_path):
    link = tmp_path / "link.db"
    link.symlink_to(path)
    second = open_store(f"sqlite:///{link}")
    assert second.url == store.url == f"sqlite:///{path}"
    assert reserved(store)
    assert not reserved(second, id="b")
    assert {file.name for file in tmp_path.iterdir()} == {"link.db", "state"}


def test_a_link_to_nothing_makes_the_file_that_it_names(path, tmp_path):
    link = tmp_path / "link.db"
    link.symlink_to(path)
    assert reserved(open_store(f"sqlite:///{link}"))
    assert path.is_file()


@pytest.mark.parametrize(("make", "found"), [(Path.mkdir, "it is a folder"), (os.mkfifo, "it is no file")])
def test_what_is_no_file_is_refused(tmp_path, make, found):
    make(tmp_path / "ledger.db")
    with pytest.raises(LedgerCorrupt, match=found):
        open_store(f"sqlite:///{tmp_path}/ledger.db")


def test_a_folder_that_is_a_file_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailable, match=f"Not a directory: {tmp_path}/file/ledger.db"):
        open_store(f"sqlite:///{tmp_path}/file/ledger.db")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("folder_mode", "file_mode", "reason"),
    [
        (0o755, 0o444, "Permission denied: {}/ledger.db"),
        (0o555, 0o444, "Permission denied: {}/ledger.db"),
        (0o555, 0o666, "Permission denied: {}/ledger.db-gate"),
        (0o555, None, "Permission denied: {}/ledger.db"),
    ],
)
def test_what_may_not_be_written_is_told(folder_mode, file_mode, reason):
    def work():
        # The superuser may write anything, so he becomes somebody else.
        if os.geteuid() == 0:
            os.setuid(65534)
        with pytest.raises(StoreUnavailable) as refused:
            open_store(f"sqlite:///{folder}/ledger.db")
        assert refused.value.reason == reason.format(folder)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        if file_mode is not None:
            open_store(f"sqlite:///{folder}/ledger.db").close()
            Path(folder, "ledger.db-gate").unlink()
            Path(folder, "ledger.db").chmod(file_mode)
        folder.chmod(folder_mode)
        child = forked(work)
        os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
        folder.chmod(0o755)
        end_well(child)


@pytest.mark.parametrize("locked", ["gate", "file"])
def test_who_waits_too_long_is_told_how_long(store, path, monkeypatch, locked):
    monkeypatch.setattr("solvent.stores._sqlite_file.BUSY_MILLISECONDS", 20)
    store = open_store(f"sqlite:///{path}")
    with open(f"{path}-gate") as gate:
        stranger = apsw.Connection(str(path))
        if locked == "gate":
            fcntl.flock(gate, fcntl.LOCK_EX)
        else:
            stranger.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable) as refused:
            reserved(store)
        stranger.close(True)
    assert refused.value.reason == "another program has it locked for over 0.02 s"
    assert store.balances() == []


# The URL


@pytest.mark.parametrize(
    ("option", "level", "kept"),
    [("", 2, ""), ("?synchronous=full", 2, ""), ("?synchronous=normal", 1, "?synchronous=normal")],
)
def test_the_url_says_when_the_disk_is_waited_for(path, option, level, kept):
    store = open_store(f"sqlite:///{path}{option}")
    assert store.url == f"sqlite:///{path}{kept}"
    for url in (f"sqlite:///{path}{option}", store.url):
        assert open_store(url)._file.connection.pragma("synchronous") == level


@pytest.mark.parametrize(
    "option", ["synchronous=off", "synchronous=", "synchronous", "mode=ro", "synchronous=full&a=b"]
)
def test_an_option_that_is_not_known_is_refused(path, option):
    with pytest.raises(SettingsError) as refused:
        open_store(f"sqlite:///{path}?{option}")
    assert str(refused.value) == (
        "ledger: expected no option, ?synchronous=full or ?synchronous=normal (a power cut may lose the last seconds), "
        f"got ?{option}"
    )
    assert not path.parent.exists()


@pytest.mark.slow
def test_children_that_are_forked_beside_busy_threads_go_on(path):
    store = open_store(f"sqlite:///{path}")
    go_on = threading.Event()

    def work(number):
        count = 0
        while not go_on.is_set():
            count += 1
            store.apply([reserve(f"{number}-{count}", amount=1, limit=10**9)])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    children = []
    for number in range(10):
        child = os.fork()
        if child == 0:
            answers = store.apply([reserve(f"child-{number}-{each}", amount=1, limit=10**9) for each in range(5)])
            os._exit(0 if all(isinstance(answer, Reserved) for answer in answers) else 1)
        children.append(child)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    go_on.set()
    for thread in threads:
        thread.join()
    assert codes == [0] * 10
    made = {entry.id for entry in store.entries()}
    assert {f"child-{number}-{each}" for number in range(10) for each in range(5)} <= made
    assert store.verify() is None

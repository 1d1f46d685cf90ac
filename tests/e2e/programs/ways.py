"""
The ways in which one budget's calls are made in other threads, processes, programs and services. Each makes so many
calls of a hundred tokens and says how each ended.
"""

import asyncio
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import httpx
from calls import acall, call

import solvent

SPAWN = multiprocessing.get_context("spawn")
FOLDER = Path(__file__).parent
PYTHON = "import sys, solvent; from calls import *; solvent.install(); say([call() for _ in range(int(sys.argv[1]))])"


def threads(count: int) -> list[str]:
    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(lambda _: call(), range(count)))


def tasks(count: int) -> list[str]:
    async def all_of_them() -> list[str]:
        return await asyncio.gather(*(acall() for _ in range(count)))

    return asyncio.run(all_of_them())


def children(count: int, method: str = "spawn") -> list[str]:
    """
    Four processes of ``multiprocessing``.
    """
    context = multiprocessing.get_context(method)
    ends = context.Queue()
    processes = [context.Process(target=_child, args=(count // 4, ends)) for _ in range(4)]  # type: ignore[attr-defined]
    for process in processes:
        process.start()
    said = [ends.get(timeout=60) for _ in range(count // 4 * 4)]
    for process in processes:
        process.join()
    return said


def _child(count: int, ends: "multiprocessing.Queue[str]") -> None:
    for _ in range(count):
        ends.put(call())


def pool(count: int) -> list[str]:
    with ProcessPoolExecutor(4, mp_context=SPAWN) as executor:
        return list(executor.map(one, range(count)))


def one(_: int) -> str:
    return call()


def programs(count: int) -> list[str]:
    """
    Four Python programs, each of which installs Solvent itself.
    """
    words = [sys.executable, "-c", PYTHON, str(count // 4)]
    running = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    return [end for process in running for end in json.loads(process.communicate()[0])]


def node(_: int) -> list[str]:
    """
    A Node program, which goes on until it is refused.
    """
    words = [sys.executable, "-m", "solvent", "run", "--quiet", "--", "node", str(FOLDER / "agent.mjs")]
    if os.environ.get("SOLVENT_GATEWAY"):
        words = words[words.index("node") :]
    said = json.loads(subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout)
    return ["answered"] * said["answered"] + [f"{said['error']['code']}"]


def curl(_: int) -> list[str]:
    """
    A shell program, with an environment of its caller's choice.
    """
    names = ("PATH", "OPENAI_BASE_URL", "OPENAI_API_KEY")
    env = {name: os.environ[name] for name in names}
    said = json.loads(subprocess.check_output(["sh", str(FOLDER / "agent.sh")], env=env, text=True))
    return ["answered"] * said["answered"] + [said["reply"]["error"]["code"]]


def hops(count: int) -> list[str]:
    """
    Requests to a service, half of them to a handler that is no coroutine.
    """
    budget = solvent.current_budget()
    assert budget is not None
    headers = budget.carry().headers

    def ask(number: int) -> str:
        url = f"{os.environ['SERVICE']}/{'async' if number % 2 else 'sync'}"
        return str(httpx.post(url, headers=headers, timeout=60).json())

    with ThreadPoolExecutor(8) as executor:
        return list(executor.map(ask, range(count)))


def killed(count: int) -> list[str]:
    """
    A child that is killed in the middle of its call, which waits until a file says so; then calls of its own.
    """
    child = SPAWN.Process(target=call)
    child.start()
    while not Path("begun").exists():
        pass
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    return [call() for _ in range(count)]


WAYS = {
    "threads": threads,
    "tasks": tasks,
    "children": children,
    "pool": pool,
    "programs": programs,
    "curl": curl,
    "node": node,
    "hops": hops,
    "killed": killed,
}


def all_at_once(ways: Iterable[str], count: int) -> list[str]:
    said: list[str] = []

    def go(way: str) -> None:
        ends = WAYS[way](count)
        with lock:
            said.extend(ends)

    lock = threading.Lock()
    running = [threading.Thread(target=go, args=(way,)) for way in ways]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return said


def main() -> None:
    solvent.install()
    ways, count = sys.argv[2].split(","), int(sys.argv[3])
    with solvent.budget("job", **json.loads(sys.argv[1])) as budget:
        said = WAYS[ways[0]](count) if len(ways) == 1 else all_at_once(ways, count)
    print(json.dumps({"scope": str(budget.scope), "said": said}))


if __name__ == "__main__":
    main()

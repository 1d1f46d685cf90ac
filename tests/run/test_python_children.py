"""
What Python programs in a run notice of the ``sitecustomize`` before their own: nothing, unless they open a budget or
load an agent framework.
"""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from solvent.instrument._frameworks import FRAMEWORKS
from solvent.run._python import FOLDER, python_path

pytestmark = pytest.mark.slow

GATEWAY = {"SOLVENT_GATEWAY": "http://127.0.0.1:9/secret"}
# What a child knows of the module that stands before its own.
LOOK = "import json, sys; print(json.dumps([type(sys.meta_path[0]).__module__, sys.path]))"


def python(*arguments, inside=True, executable=sys.executable, **variables):
    """
    A child of a run, or the same without one.
    """
    environ = {"PATH": os.environ["PATH"], "HOME": variables.pop("home", "/nonexistent"), **variables}
    if inside:
        environ |= {**GATEWAY, **python_path(environ)}
    return subprocess.run([executable, *arguments], env=environ, capture_output=True, text=True, timeout=60)


def said(done):
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


@pytest.fixture
def theirs(tmp_path):
    """
    A folder with a ``sitecustomize`` of the program's own.
    """

    def write(text):
        (tmp_path / "sitecustomize.py").write_text(text)
        return str(tmp_path)

    return write


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """
    A Python that has no Solvent.
    """
    folder = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    return folder


def test_it_knows_every_framework_that_lends_names():
    said_to = re.search(r"_NAMING = frozenset\((.*?)\n\)", (Path(FOLDER) / "sitecustomize.py").read_text(), re.DOTALL)
    assert set(ast.literal_eval(said_to[1].strip())) == {"solvent._budget", *(one.module for one in FRAMEWORKS)}


@pytest.mark.parametrize("inside", [True, False])
def test_a_framework_that_is_loaded_gets_the_hooks_that_name_its_calls(inside, tmp_path):
    (tmp_path / "crewai.py").write_text("")
    text = "import crewai, sys; print('solvent.instrument' in sys.modules)"
    done = python("-c", text, inside=inside, PYTHONPATH=str(tmp_path))
    assert (done.stdout, done.stderr) == (f"{inside}\n", "")


def test_it_is_there_and_its_folder_is_not():
    finder, path = said(python("-c", LOOK))
    assert finder == "sitecustomize"
    assert path == said(python("-c", LOOK, inside=False))[1]


def test_an_own_sitecustomize_runs_as_if_it_stood_alone(theirs):
    folder = theirs("import sys; sys.mine = __name__, __file__")
    text = "import json, sys; print(json.dumps([sys.mine, sys.modules['sitecustomize'].__file__, sys.path[1]]))"
    inside = said(python("-c", text, PYTHONPATH=folder))
    assert inside == [["sitecustomize", f"{folder}/sitecustomize.py"], f"{folder}/sitecustomize.py", folder]
    assert inside == said(python("-c", text, PYTHONPATH=folder, inside=False))


@pytest.mark.parametrize(
    "text",
    ["raise ValueError('mine')", "import no_such_module", "print('hello')", "this is none"],
)
def test_what_goes_wrong_in_it_is_told_as_ever(text, theirs):
    folder = theirs(text)
    alone, inside = (python("-c", "print(1)", PYTHONPATH=folder, inside=inside) for inside in (False, True))
    assert (inside.returncode, inside.stdout, inside.stderr) == (alone.returncode, alone.stdout, alone.stderr)


def test_one_in_site_packages_runs_too_also_where_there_is_no_solvent(bare):
    executable = str(bare / "bin" / "python")
    [packages] = (bare / "lib").glob("python*/site-packages")
    (packages / "sitecustomize.py").write_text("import sys; sys.mine = __file__")
    text = "import json, sys; import http.client; print(json.dumps([sys.mine, 'solvent' in sys.modules]))"
    try:
        assert said(python("-c", text, executable=executable)) == [str(packages / "sitecustomize.py"), False]
    finally:
        (packages / "sitecustomize.py").unlink()
    assert python("-c", "import solvent", executable=executable).stderr.endswith("No module named 'solvent'\n")
    assert said(python("-c", LOOK, executable=executable))[0] == "sitecustomize"


@pytest.mark.parametrize("option", ["-S", "-I", "-E"])
def test_a_python_that_reads_no_such_settings_is_left_alone(option):
    done = python(option, "-c", LOOK)
    assert said(done)[0] != "sitecustomize"


def test_a_usercustomize_runs(tmp_path):
    text = "import site; print(site.getusersitepackages())"
    base = str(Path(sys.base_prefix) / "bin" / "python3")  # A virtual environment has none.
    folder = Path(python("-c", text, executable=base, home=str(tmp_path)).stdout.strip())
    folder.mkdir(parents=True)
    (folder / "usercustomize.py").write_text("print('mine')")
    assert python("-c", "", executable=base, home=str(tmp_path)).stdout == "mine\n"


@pytest.mark.parametrize("method", ["fork", "spawn", "subprocess"])
def test_processes_of_the_child_have_it_too(method, tmp_path):
    program = tmp_path / "program.py"
    program.write_text(f"""
import multiprocessing, subprocess, sys

def look():
    print(type(sys.meta_path[0]).__module__, flush=True)

if __name__ == "__main__":
    if {method!r} == "subprocess":
        subprocess.run([sys.executable, __file__, "again"]) if len(sys.argv) == 1 else look()
    else:
        process = multiprocessing.get_context({method!r}).Process(target=look)
        process.start()
        process.join()
""")
    done = python(str(program))
    assert (done.stdout, done.stderr) == ("sitecustomize\n", "")


def test_outside_a_run_the_folder_on_the_path_does_nothing():
    assert said(python("-c", LOOK, inside=False, PYTHONPATH=FOLDER))[0] != "sitecustomize"


@pytest.mark.parametrize(
    ("former", "path"),
    [
        (None, FOLDER),
        ("", FOLDER),
        ("/a", f"{FOLDER}:/a"),
        (":/a:", f"{FOLDER}::/a:"),
        (f"{FOLDER}:/a", f"{FOLDER}:/a"),
        (f"/b:{FOLDER}", f"{FOLDER}:/b:{FOLDER}"),
    ],
)
def test_the_path_of_the_program_comes_after_it(former, path):
    assert python_path({} if former is None else {"PYTHONPATH": former}) == {"PYTHONPATH": path}


def test_a_program_that_opens_no_budget_loads_nothing_of_solvent():
    text = "import httpx, json, requests, sys; print(json.dumps([name for name in sys.modules if 'solvent' in name]))"
    assert said(python("-c", text)) == []


HOOKS_ON = "print(json.dumps(sorted({hook.file for hook in solvent.instrument.active()})))"
NAMING = ["aiohttp", "children", "httpx", "requests", "threads"]


@pytest.mark.parametrize(
    "first",
    ["import aiohttp, httpx, requests, solvent", "import solvent; solvent.budget; import aiohttp, httpx, requests"],
)
def test_a_program_with_a_budget_has_the_hooks_that_name_and_no_others(first):
    done = python("-c", f"import json, openai; {first}; solvent.budget; import solvent.instrument; {HOOKS_ON}")
    assert said(done) == NAMING


def test_outside_a_run_a_budget_puts_no_hooks_on():
    text = f"import json, httpx, requests, solvent; solvent.budget; import solvent.instrument; {HOOKS_ON}"
    assert said(python("-c", text, inside=False)) == []


def test_uninstalling_leaves_what_the_run_put_on():
    text = "import aiohttp, json, httpx, openai, requests, solvent; solvent.install(); solvent.uninstall(); "
    assert said(python("-c", text + HOOKS_ON)) == NAMING
    assert said(python("-c", text + HOOKS_ON, inside=False)) == []


def test_hooks_that_cannot_be_put_on_fail_no_program(tmp_path):
    (tmp_path / "wrapt.py").write_text("raise RuntimeError('a broken wrapt')")
    done = python("-c", "import solvent; print(solvent.budget.__name__)", PYTHONPATH=str(tmp_path))
    assert (done.stdout, done.stderr) == ("budget\n", "")

"""The command `semipose JOB`."""

import subprocess
import sys
from importlib import import_module

import pytest

from semipose import jobs
from semipose.runtime import launch

HEAVY = {"torch", "numpy", "cv2", "yacs", "yaml", "wandb", "matplotlib"}


def semipose(monkeypatch, capsys, *words: str):
    """Run the command in this process; returns (exit code, stdout, stderr)."""
    monkeypatch.setattr(sys, "argv", ["/somewhere/bin/semipose", *words])
    with pytest.raises(SystemExit) as end:
        jobs.main()
    return end.value.code, *capsys.readouterr()


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]])
def test_help_has_every_job_below_a_heading(monkeypatch, capsys, words):
    code, out, err = semipose(monkeypatch, capsys, *words)
    assert code == 0 and not err
    lines = out.splitlines()
    for name, job in jobs.JOBS.items():
        place = next(k for k, line in enumerate(lines) if line.split("  ")[1:2] == [name])
        assert f"{job.group}:" in lines[:place] and job.help in lines[place]
    assert max(map(len, lines)) <= 120


def test_help_of_all_and_of_each_job_loads_nothing_heavy():
    """So that it answers at once."""
    code = f"""
import sys
from semipose import jobs
for words in (["--help"], *([*name.split(), "--help"] for name in jobs.JOBS)):
    sys.argv = ["semipose", *words]
    try:
        jobs.main()
    except SystemExit as end:
        assert end.code == 0, words
    assert not {HEAVY!r} & sys.modules.keys(), (words, {HEAVY!r} & sys.modules.keys())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for name in jobs.JOBS:
        assert f"usage: semipose {name} " in done.stdout


@pytest.mark.parametrize("name", jobs.JOBS)
def test_every_entry_is_there(name):
    module, function = jobs.JOBS[name].entry.split(":")
    assert callable(getattr(import_module(module), function))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["predcit"], ["predcit", "did you mean predict"]),
        (["xyzzy"], ["xyzzy", "cotrain1"]),
        (["convert"], ["lsp", "labelme", "lightning-pose"]),
        (["convert", "coco"], ["lsp"]),
    ],
)
def test_an_unknown_job_is_one_line(monkeypatch, capsys, words, told):
    code, out, err = semipose(monkeypatch, capsys, *words)
    assert code == 2 and not out and err.count("\n") == 1 and all(word in err for word in told)


def test_version(monkeypatch, capsys):
    from semipose import __version__

    assert semipose(monkeypatch, capsys, "--version")[:2] == (0, f"semipose {__version__}\n")


def test_arguments_and_exit_codes_go_through(monkeypatch, capsys, tmp_path):
    out = tmp_path / "people"
    code, text, _ = semipose(
        monkeypatch, capsys, "demo-data", "--out", str(out), "--labeled", "2", "--unlabeled", "2", "--val", "2"
    )
    assert code == 0 and "drew 6 pictures" in text and (out / "annotations").is_dir()
    code, _, err = semipose(monkeypatch, capsys, "convert", "lsp", "--root", str(tmp_path), "--out", str(out / "lsp"))
    assert code == 2 and "semipose convert lsp --help" in err or "--train-len" in err
    code, _, err = semipose(monkeypatch, capsys, "valid", "--checkpoint", str(tmp_path / "none"))
    assert code == 2 and err.startswith("error: ") and "none" in err


def test_several_processes_start_the_same_job(monkeypatch):
    started = []
    monkeypatch.setattr(launch, "run_ranks", lambda count, entry, arguments: started.append((count, entry, arguments)))
    monkeypatch.setattr(sys, "argv", ["semipose cotrain1", "--cfg", "a.yaml"])
    launch.launch(2)
    assert started == [(2, sys.executable, ["-m", "semipose", "cotrain1", "--cfg", "a.yaml"])]


def test_ctrl_c_ends_any_job_without_a_traceback(monkeypatch, capsys):
    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(jobs, "run", stopped)
    assert semipose(monkeypatch, capsys, "check") == (130, "", "")


def test_python_m_and_no_reader_at_the_other_end(tmp_path):
    command = f"{sys.executable} -m semipose --help | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    done = subprocess.run([sys.executable, "-m", "semipose", "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and "predict" in done.stdout

"""What a process prints is in the run, and the terminal shows what it showed before."""

import io
import logging
import signal
import sys
import threading

import pytest

import multiboard as mb
from multiboard import console_text
from multiboard.console import Console, listen
from multiboard.console_text import Budget, Lines, shown
from multiboard.errors import MultiboardWarning


class Terminal(io.TextIOWrapper):
    """A stream that says that it is a terminal."""

    def __init__(self):
        super().__init__(io.BytesIO(), "utf-8", write_through=True)

    def isatty(self):
        return True

    @property
    def shown(self):
        return self.buffer.getvalue().decode()


@pytest.fixture
def open_terminal(monkeypatch):
    """A function that makes a terminal of sys.stdout and sys.stderr; before the test pytest puts its own there."""

    def replace():
        stream = Terminal()
        monkeypatch.setattr(sys, "stdout", stream)
        monkeypatch.setattr(sys, "stderr", stream)
        return stream

    return replace


def lines_of(log_dir):
    """Return the lines of all texts of a run, without fences, in order."""
    texts = mb.read(log_dir)["."].texts.get("console")
    return [line for text in texts.value for line in text.splitlines() if not line.startswith("~~~")] if texts else []


def test_prints_and_logging_are_lines_at_the_step_of_the_last_value(log_dir, open_terminal):
    terminal = open_terminal()
    logger = logging.getLogger("test_console")
    handler = logging.StreamHandler()  # holds the stream from before the run
    logger.addHandler(handler)
    try:
        with mb.Run(log_dir, console=True) as run:
            run.log({"a": 1.0}, 7)
            run.flush()
            print("a", "print")
            print("to stderr", file=sys.stderr)
            logger.warning("a warning of logging")
            sys.stdout.writelines(["two ", "parts\n"])
    finally:
        logger.removeHandler(handler)
    assert lines_of(log_dir) == ["a print", "to stderr", "a warning of logging", "two parts"]
    assert mb.read(log_dir)["."].texts["console"].step.tolist()[0] == 7
    assert all(line in terminal.shown for line in lines_of(log_dir))


def test_warnings_of_python_and_of_alerts_and_prints_in_the_writer_thread_are_heard_once(log_dir, run_python):
    """A warning of an alert comes from the writer thread, which writes the console: it must not go round."""
    code = """
import sys, warnings, multiboard as mb
alerts = mb.Alerts(on_alert=lambda alert: print("alert of", alert.rule))
with mb.Run(sys.argv[1], console=True, alerts=alerts) as run:
    warnings.warn("of Python")
    run.log({"train/loss": float("nan")}, 0)
"""
    done = run_python(code, log_dir)
    found = lines_of(log_dir)
    assert found.count("alert of nonfinite") == 1
    assert sum("UserWarning: of Python" in line for line in found) == 1
    assert sum("NaN or infinite values" in line for line in found) == 1
    assert sorted(found) == sorted((done.stdout + done.stderr).splitlines())


def test_the_streams_stay_the_objects_that_they_are_and_get_their_own_write_back(log_dir, open_terminal):
    terminal = open_terminal()
    before = sys.stdout.write
    with mb.Run(log_dir, console=True):
        assert sys.stdout is terminal
        assert sys.stdout.isatty()
        assert sys.stdout.encoding == "utf-8"
        assert print("x") is None
        assert sys.stdout.write("123\n") == 4
    assert sys.stdout.write == before
    assert "write" not in vars(terminal)
    print("afterwards")
    assert lines_of(log_dir) == ["x", "123"]
    assert terminal.shown == "x\n123\nafterwards\n"


def test_nested_runs_hear_the_same_and_may_be_closed_in_any_order(tmp_path, open_terminal):
    terminal = open_terminal()
    first, second = mb.Run(tmp_path / "1", console=True), mb.Run(tmp_path / "2", console=True)
    print("both")
    first.close()
    print("second")
    second.close()
    assert "write" not in vars(terminal)
    assert lines_of(tmp_path / "1") == ["both"]
    assert lines_of(tmp_path / "2") == ["both", "second"]


def test_another_program_that_replaces_write_afterwards_keeps_its_own(log_dir, open_terminal):
    terminal = open_terminal()
    heard = []
    run = mb.Run(log_dir, console=True)
    ours = sys.stdout.write
    sys.stdout.write = lambda text: (heard.append(text), ours(text))[1]
    print("one")
    run.close()
    print("two")
    del sys.stdout.write
    assert "".join(heard) == "one\ntwo\n"
    assert terminal.shown == "one\ntwo\n"
    assert lines_of(log_dir) == ["one"]


def test_prints_of_many_threads_are_all_there(log_dir, open_terminal):
    terminal = open_terminal()

    def talk(name):
        for i in range(200):
            print(f"{name}-{i}\n", end="")

    with mb.Run(log_dir, console=True):
        threads = [threading.Thread(target=talk, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(lines_of(log_dir)) == sorted(f"{name}-{i}" for name in "abcd" for i in range(200))
    assert sorted(terminal.shown.split()) == sorted(lines_of(log_dir))


def test_a_durable_run_hears_too(log_dir, open_terminal):
    open_terminal()
    with mb.Run(log_dir, console=True, durable=True) as run:
        run.log({"a": 1.0}, 3)
        print("printed")
    assert lines_of(log_dir) == ["printed"]


def test_the_texts_come_while_the_run_is_open(log_dir, open_terminal, wait_until, monkeypatch):
    open_terminal()
    monkeypatch.setattr("multiboard.console.SECONDS", 0.05)
    with mb.Run(log_dir, console=True) as run:
        run.log({"a": 1.0}, 0)
        print("early")
        wait_until(lambda: lines_of(log_dir) == ["early"])
        assert not run.closed


def test_texts_within_one_step_are_few_and_have_steps_of_their_own(log_dir, open_terminal, monkeypatch):
    """The data server of TensorBoard keeps one text of a step."""
    open_terminal()
    monkeypatch.setattr("multiboard.console._PRINTS", 2)
    monkeypatch.setattr("multiboard.console._PRINTS_OF_A_STEP", 20)
    with mb.Run(log_dir, console=True) as run:
        run.log({"a": 1.0}, 7)
        for i in range(14):
            print(i)  # two prints: the number and the end of its line
            run.flush()
        run.log({"a": 1.0}, 8)
        run.flush()
    texts = mb.read(log_dir)["."].texts["console"]
    assert texts.step.tolist() == [7, 8, 9]
    assert [text.count("\n") - 1 for text in texts.value] == [1, 10, 3]
    assert lines_of(log_dir) == list(map(str, range(14)))


def test_a_captured_distribution_is_a_value_whose_step_counts(log_dir, open_terminal):
    open_terminal()
    with mb.Run(log_dir, console=True) as run:
        run.histogram("h", [1.0, 2.0], 9)
        print("printed")
    assert mb.read(log_dir)["."].texts["console"].step.tolist() == [9]


def test_few_long_prints_do_not_wait_for_a_step(log_dir, open_terminal, monkeypatch, wait_until):
    open_terminal()
    monkeypatch.setattr("multiboard.console._CHARACTERS", 1000)
    with mb.Run(log_dir, console=True):
        for i in range(3):
            print(f"{i}" * 1200)
            wait_until(lambda count=i + 1: len(lines_of(log_dir)) == count)


def test_the_end_of_a_run_waits_for_a_thread_that_makes_a_text(log_dir, open_terminal):
    open_terminal()
    with mb.Run(log_dir) as run:
        console = Console(run)
        run.before_close(console.finish)
        listen(sys.stdout, console, "stdout")
        print("the last line")
        console._writing.acquire()
        threading.Timer(0.1, console._writing.release).start()
    assert lines_of(log_dir) == ["the last line"]


def test_what_an_exception_that_nobody_catches_says_is_in_the_run(log_dir, run_python):
    code = (
        "import sys, multiboard as mb\nrun = mb.Run(sys.argv[1], console=True)\nrun.log({'a': 1.0}, 5)\nraise OSError('the end')"
    )
    done = run_python(code, log_dir)
    assert done.returncode == 1
    assert "OSError: the end" in lines_of(log_dir)
    assert done.stderr.endswith("OSError: the end\n")


def test_what_was_printed_just_before_a_signal_ends_the_program_is_in_the_run(log_dir, start_python, end):
    code = """
import sys, time, multiboard as mb
run = mb.Run(sys.argv[1], console=True)
run.log({"a": 1.0}, 5)
print("the last line", flush=True)
time.sleep(60)
"""
    process = start_python(code, log_dir)
    status, _ = end(process, lambda process: process.send_signal(signal.SIGTERM))
    assert status == -signal.SIGTERM
    assert lines_of(log_dir) == ["the last line"]


def test_a_forked_child_prints_without_a_run(log_dir, run_python):
    code = """
import os, sys, multiboard as mb
with mb.Run(sys.argv[1], console=True) as run:
    print("parent", flush=True)
    if os.fork() == 0:
        for _ in range(20_000): print("child")
        sys.stdout.flush()
        os._exit(0)
    os.wait()
"""
    done = run_python(code, log_dir)
    assert done.stdout.count("child\n") == 20_000
    assert lines_of(log_dir)[0] == "parent"
    assert "child" not in lines_of(log_dir)


def test_a_run_without_a_console_imports_nothing_of_it(log_dir, run_python):
    code = "import sys, multiboard as mb; mb.Run(sys.argv[1]).close(); print([n for n in sys.modules if 'console' in n])"
    assert run_python(code, log_dir).stdout.strip() == "[]"


def test_a_stream_whose_write_cannot_be_followed_is_said_and_left_alone(log_dir, monkeypatch):
    class Fixed:
        __slots__ = ()

        def write(self, text):
            return len(text)

    monkeypatch.setattr(sys, "stdout", Fixed())
    monkeypatch.setattr(sys, "stderr", None)
    with pytest.warns(MultiboardWarning, match="sys.stdout is a Fixed"):
        mb.Run(log_dir, console=True).close()


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        (" 10%|#   |\r 50%|##  |\r100%|####|\n", ["100%|####|"]),
        ("\x1b[1m\x1b[32mgreen\x1b[0m\x1b]0;title\x07\n", ["green"]),
        ("a\tb\x00\x07\n", ["a\tb"]),
        ("login s3://me:hunter2@host api_key='abcdefgh0123'\n", ["login s3://***@host api_key='***'"]),
        ("hf_" + "a" * 34 + "\n", ["***"]),
        ("x" * 9000 + "\n", ["x" * 4096]),
        ("a name that is no UTF-8: \udcff.\n", ["a name that is no UTF-8: ."]),
        ("windows\r\n", ["windows"]),
    ],
)
def test_a_line_is_what_a_terminal_shows_without_colours_and_secrets(printed, expected):
    lines = Lines()
    for character in printed:
        lines.add("stdout", character)
    assert lines.finished() == expected == [shown(printed.removesuffix("\n"))]


def test_a_progress_bar_without_an_end_stays_small_and_shows_its_last_state():
    lines = Lines()
    for i in range(20_000):
        lines.add("stderr", f"\r{i} of 20000 {'#' * 50}")
    assert sum(map(len, lines._begun.values())) < 2 * console_text.LONGEST
    assert lines.finished() == []
    assert lines.finished(last=True) == [f"19999 of 20000 {'#' * 50}"]


def test_a_private_key_of_many_lines_is_no_text():
    lines = Lines()
    lines.add("stdout", "key:\n-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBg\nkqhkiG9w0BAQEF\n-----END PRIVATE KEY-----\nafter\n")
    assert lines.finished() == ["key:", "***", "after"]


def test_lines_of_two_streams_do_not_mix():
    lines = Lines()
    for stream, text in (("stdout", "out"), ("stderr", "error\n"), ("stdout", "put\n")):
        lines.add(stream, text)
    assert lines.finished() == ["error", "output"]


def test_of_too_much_the_beginning_and_the_end_are_kept_and_the_rest_is_counted(monkeypatch):
    monkeypatch.setattr(console_text, "BUDGET", 2000)
    budget = Budget()
    texts = [budget.take([f"line {i:4}"]) for i in range(1000)]
    written = [text for text in texts if text]
    assert written[0] == "~~~\nline    0\n~~~"
    assert "the end follows when the run is closed" in written[-1]
    rest = budget.rest()
    assert "line  999" in rest
    kept = rest.count("line ")
    assert f"{1000 - len(written) - kept} lines are left out here" in rest
    assert sum(map(len, written)) + len(rest) < 4000
    assert budget.rest() == ""


def test_a_text_with_fences_in_it_stays_one_block():
    budget = Budget()
    text = budget.take(["~~~~", "# no heading", "~~~"])
    assert text.startswith("~~~~~\n")
    assert text.endswith("\n~~~~~")


def test_programs_that_are_started_are_not_heard(log_dir, run_python):
    code = f"""
import subprocess, sys, multiboard as mb
with mb.Run(sys.argv[1], console=True):
    print("own", flush=True)
    subprocess.run([{sys.executable!r}, "-c", "print('foreign')"])
"""
    assert run_python(code, log_dir).stdout == "own\nforeign\n"
    assert lines_of(log_dir) == ["own"]

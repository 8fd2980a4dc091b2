"""Studies of many runs: nothing is lost, nothing is done twice, and it doesn't matter who does the work."""

import json
import math
import multiprocessing
import os
import signal
import time
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from functools import partial
from pkgutil import resolve_name

import numpy as np
import pytest
import study_jobs
import torch
from committed import ROOT
from study_jobs import SEEDS, train
from toys import ToyCTC

from ocrlib import EXPERIMENTS, Record, SyntheticCaptchas, read_records, record_runs, repeat, run_recipe
from ocrlib import training as loop
from ocrlib.studies import records
from ocrlib.studies.records import RUNS, add_record, records_frame

FORKSERVER = multiprocessing.get_context("forkserver")  # torch is imported once, by a process without threads
FORKSERVER.set_forkserver_preload(["toys", "ocrlib"])
RECORD = Record(
    function="somewhere:something", arguments={"seed": 1, "rates": [0.1, 1e-300]}, budget="full", data="0123", threads=1,
    device="cpu", versions={"torch": "2"}, figures={"loss": 0.1 + 0.2, "text": "é\n"}, seconds=1.5,
)  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A small data set, so that its fingerprint is a matter of milliseconds."""
    folder = tmp_path_factory.mktemp("captchas")
    for image, text in SyntheticCaptchas(12, seed=7):
        image.save(folder / f"{text}.png")
    return folder


@pytest.fixture(autouse=True)
def small_data(monkeypatch, data):
    monkeypatch.setenv("OCRLIB_DATA", str(data))


@pytest.fixture(scope="module")
def serial(data, tmp_path_factory):
    """What one undisturbed pass in this process finds, by job."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OCRLIB_DATA", str(data))
        return gist(record_runs(tmp_path_factory.mktemp("serial") / "runs.jsonl", SEEDS, train, threads=1))


@pytest.fixture(scope="module")
def pool(data):
    """Two processes that find the data by a path relative to the folder they start in."""
    place = os.path.relpath(data)
    with ProcessPoolExecutor(2, FORKSERVER, initializer=study_jobs.look_for_data_in, initargs=(place,)) as executor:
        yield executor


@pytest.fixture
def path(tmp_path):
    return tmp_path / "runs.jsonl"


@pytest.fixture
def counted(monkeypatch):
    """A quick run that tells how often it was called; it lives in this module, so only runs in this process."""
    calls = []
    monkeypatch.setattr("test_records.CALLS", calls)
    return calls


CALLS: list[dict] = []


def count(**arguments):
    if "gives" in arguments:
        return CALLS[0]
    CALLS.append(arguments)
    if arguments.get("stop"):
        raise KeyboardInterrupt
    if arguments.get("fails"):
        raise ArithmeticError("the loss is nan")
    return {"twice": 2 * arguments["seed"], "threads": torch.get_num_threads()}


def gist(found):
    """What has to be equal, whoever did the runs and however long they took."""
    return [(record.function, record.arguments, record.budget, record.data, record.threads, record.figures) for record in found]


def sorted_gist(found):
    return sorted(gist(found), key=str)


# -- the file


def test_a_record_comes_back_equal(path):
    add_record(path, RECORD)
    assert read_records(path) == [RECORD]
    assert read_records(path.with_name("none.jsonl")) == []


def test_a_new_record_equals_the_one_in_the_file(path, counted):
    (record,) = record_runs(path, [{"seed": 1, "sizes": (1, 2)}], count)
    assert read_records(path) == [record]
    assert record.arguments["sizes"] == counted[0]["sizes"] == [1, 2]  # as it will be when it is repeated by its line


@pytest.mark.parametrize("cut", [1, 20, -20, -3, -2, -1])  # the last ends with a brace, as a whole line does
def test_a_last_line_that_was_cut_off_is_passed_over_and_dropped_by_the_next(path, cut):
    two, three = (replace(RECORD, arguments={"seed": seed}) for seed in (2, 3))
    add_record(path, RECORD)
    end = path.stat().st_size
    add_record(path, two)
    lines = path.read_bytes()
    path.write_bytes(lines[:end] + lines[end:-1][:cut])
    assert read_records(path) == [RECORD]
    add_record(path, three)
    assert read_records(path) == [RECORD, three]
    assert len(path.read_text().splitlines()) == 2


def test_a_last_line_without_a_newline_and_blank_lines_are_kept_and_passed_over(path):
    path.write_text("\n" + json.dumps(vars(RECORD)))  # as some editors leave it
    assert read_records(path) == [RECORD]
    other = replace(RECORD, arguments={"seed": 2})
    add_record(path, other)
    assert read_records(path) == [RECORD, other]


@pytest.mark.parametrize("line", [b"{cut off", b"[1, 2]", b"7", b'{"function": "a:b"}', b"<<<<<<< mine", b"\xff\xfe"])
def test_a_broken_line_in_the_middle_is_named_and_left_alone(path, line, counted):
    add_record(path, RECORD)
    path.write_bytes(path.read_bytes() + line + b"\n" + path.read_bytes())
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"Line 2 of .*runs\.jsonl is not a record.*Delete it"):
        record_runs(path, [{"seed": 1}], count)
    assert path.read_bytes() == before and counted == []


def test_a_run_that_two_studies_did_counts_once(path):
    for seconds in (1.0, 2.0):
        add_record(path, replace(RECORD, seconds=seconds))
    assert [record.seconds for record in read_records(path)] == [1.0]


OLD_NAMES = {  # in files that were recorded before runs had names of their own
    "ocrlib.records:run_recipe": "recipe",
    "ocrlib.comparison:compare": "ctc_vs_ce",
    "ocrlib.cross_validation:cross_validate": "cross_validation",
    "ocrlib.questions:train_variant": "variants",
    "ocrlib.questions:train_to_look": "receptive_fields",
    "ocrlib.questions:try_remedy": "remedies",
    "ocrlib.transfer:transfer": "synthetic_to_real",
    "ocrlib.pretrained:pretrain": "pretrained",
    "somebody.else:transfer": "somebody.else:transfer",
    "ocrlib.records:unknown": "ocrlib.records:unknown",
}


@pytest.mark.parametrize("old, name", OLD_NAMES.items())
def test_a_run_that_was_recorded_under_an_old_name_is_the_same_run(path, old, name):
    add_record(path, replace(RECORD, function=old))
    add_record(path, replace(RECORD, function=name))
    assert read_records(path) == [replace(RECORD, function=name)] and (name in RUNS or name == old)


def test_the_names_of_runs_are_those_of_functions():
    for name, place in RUNS.items():
        assert records._name(resolve_name(place)) == name
    assert records._name(train) == "study_jobs:train"


def run_processes(target, *arguments_of_each):
    """Start them all, wait for them all."""
    processes = [FORKSERVER.Process(target=target, args=arguments) for arguments in arguments_of_each]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * len(processes)


def test_two_processes_that_add_at_once_lose_nothing(path):
    long = replace(RECORD, figures={"text": "x" * 100_000})  # takes more than one moment to write
    arguments = (path, long, FORKSERVER.Barrier(2))
    run_processes(study_jobs.add_many, arguments, arguments)
    found = read_records(path)
    processes = {record.arguments["process"] for record in found}
    assert len(processes) == 2
    wanted = {(process, number) for process in processes for number in range(50)}
    assert {(record.arguments["process"], record.arguments["number"]) for record in found} == wanted
    assert len(path.read_text().splitlines()) == 100


# -- what is run


def test_runs_that_are_there_are_skipped(path, counted):
    first = record_runs(path, [{"seed": 1}, {"seed": 2}], count)
    again = record_runs(path, [{"seed": 3}, {"seed": 2}, {"seed": 1}, {"seed": 2}], count)
    assert counted == [{"seed": 1}, {"seed": 2}, {"seed": 3}]
    assert again[1:] == [first[1], first[0], first[1]]
    assert [record.figures["twice"] for record in again] == [6, 4, 2, 4]


def test_another_argument_budget_or_data_set_is_another_run(path, counted, monkeypatch, data, tmp_path):
    def is_new(**job):
        before = len(counted)
        record_runs(path, [job], count)
        record_runs(path, [job], count)
        return len(counted) - before == 1

    assert is_new(seed=1) and not is_new(seed=1)
    assert is_new(seed=1, split_seed=2)
    monkeypatch.setenv("OCRLIB_BUDGET", "smoke")
    assert is_new(seed=1)
    monkeypatch.delenv("OCRLIB_BUDGET")
    (tmp_path / "other").mkdir()
    for file in sorted(data.iterdir())[:5]:
        (tmp_path / "other" / file.name).write_bytes(file.read_bytes())
    monkeypatch.setenv("OCRLIB_DATA", str(tmp_path / "other"))
    assert is_new(seed=1)
    next((tmp_path / "other").iterdir()).unlink()  # the same folder with other images
    assert is_new(seed=1)
    monkeypatch.setenv("OCRLIB_DATA", str(data))
    assert not is_new(seed=1)
    assert len(read_records(path)) == len(counted) == 5


def test_a_job_that_fails_is_named_and_the_finished_ones_are_kept(path, counted):
    jobs = [{"seed": 1}, {"seed": 2, "fails": True}, {"seed": 3}]
    with pytest.raises(RuntimeError, match=r"test_records:count\(seed=2, fails=True\).*ArithmeticError: the loss is nan"):
        record_runs(path, jobs, count)
    assert [record.arguments for record in read_records(path)] == [{"seed": 1}]


def test_the_stop_button_keeps_the_finished_runs_and_the_next_call_goes_on(path, counted):
    with pytest.raises(KeyboardInterrupt):
        record_runs(path, [{"seed": 1}, {"seed": 2, "stop": True}, {"seed": 3}], count)
    assert [record.arguments for record in read_records(path)] == [{"seed": 1}]
    record_runs(path, [{"seed": 1}, {"seed": 3}], count)
    assert [call["seed"] for call in counted] == [1, 2, 3]


def test_progress_counts_all_runs_and_begins_where_the_study_stands(path, counted, capsys):
    record_runs(path, [{"seed": 1}], count)
    capsys.readouterr()
    record_runs(path, [{"seed": seed} for seed in range(4)], count)
    said = capsys.readouterr().err
    assert "runs:" in said and "1/4" in said.split("\r")[1] and "4/4" in said.split("\r")[-1]


@pytest.mark.parametrize("function", [lambda: {}, partial(count, seed=1), Record.__eq__, CALLS.append, gist.__call__])
def test_functions_without_a_name_to_find_them_by_are_refused(path, function):
    with pytest.raises(ValueError, match="can't be imported by its name.*top level"):
        record_runs(path, [{}], function)
    assert not path.exists()


@pytest.mark.parametrize("job", [{"seed": torch.tensor(1)}, {"seed": {1, 2}}, {"model": object()}, "seed", 7])
def test_jobs_that_no_line_can_hold_are_refused_before_the_first_run(path, counted, job):
    with pytest.raises(ValueError, match="can't be recorded"):
        record_runs(path, [{"seed": 1}, job], count)
    assert counted == [] and not path.exists()


def not_json(name):
    raise AssertionError(f"{name} is not strict JSON")


FIGURES = [
    ({"loss": torch.tensor(1.5), "cer": np.float32(0.25), "edits": np.int64(3), "ok": np.bool_(True)},
     {"loss": 1.5, "cer": 0.25, "edits": 3, "ok": True}),
    ({"a": math.nan, "b": [math.inf, -math.inf], "c": np.float64("nan")}, {"a": None, "b": [None, None], "c": None}),
    ({"curve": np.array([0.5, math.nan]), "sizes": (1, 2), np.int64(7): {3: np.str_("x")}},
     {"curve": [0.5, None], "sizes": [1, 2], "7": {"3": "x"}}),
]  # fmt: skip


@pytest.mark.parametrize("figures, written", FIGURES)
def test_figures_are_strict_json_whatever_numbers_they_are(path, counted, figures, written):
    counted.append(figures)
    [record] = record_runs(path, [{"gives": "this"}], count)
    assert record.figures == written and json.loads(path.read_text(), parse_constant=not_json)["figures"] == written
    assert read_records(path) == [record]


@pytest.mark.parametrize(
    "figures, written", [({"device": torch.device("cpu")}, {"device": "cpu"}), (None, {"result": None}), (0.5, {"result": 0.5})]
)
def test_a_finished_run_is_recorded_even_where_json_cannot_hold_its_figures(path, counted, figures, written):
    counted.append(figures)
    with pytest.warns(UserWarning, match="recorded"):
        [record] = record_runs(path, [{"gives": "this"}], count)
    assert record.figures == written and read_records(path) == [record]


def test_numbers_of_numpy_are_arguments_and_those_that_are_not_finite_are_refused_before_the_run(path, counted):
    [record] = record_runs(path, [{"seed": np.int64(3), "rate": np.float64(0.1)}], count)
    assert record.arguments == {"seed": 3, "rate": 0.1} and type(counted[0]["seed"]) is int
    with pytest.raises(ValueError, match="can't be recorded"):
        record_runs(path, [{"seed": 1, "rate": math.nan}], count)
    assert len(counted) == 1


class BrokenPool(Executor):
    def submit(self, *_):
        future = Future()
        future.set_exception(BrokenProcessPool("A process in the process pool was terminated abruptly"))
        return future


def test_a_pool_that_cannot_find_a_notebooks_function_says_what_to_do(path, monkeypatch):
    with pytest.raises(RuntimeError, match=r"worker process ended before its run did"):
        record_runs(path, [{"seed": 1}], count, BrokenPool())
    monkeypatch.setattr(count, "__module__", "__main__")
    with pytest.raises(RuntimeError, match=r"could not find count, which is defined in this notebook.*Put it into a module"):
        record_runs(path, [{"seed": 1}], count, BrokenPool())


def test_a_file_that_cannot_be_written_is_found_out_before_the_first_run(tmp_path, counted):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        record_runs(tmp_path / "file" / "runs.jsonl", [{"seed": 1}], count)
    (tmp_path / "dangling.jsonl").symlink_to(tmp_path / "gone" / "runs.jsonl")
    with pytest.raises(OSError, match="dangling"):
        record_runs(tmp_path / "dangling.jsonl", [{"seed": 1}], count)
    assert counted == []
    record_runs(tmp_path / "new" / "folder" / "runs.jsonl", [{"seed": 1}], count)
    assert counted == [{"seed": 1}]


def test_the_number_of_threads_is_set_for_the_runs_and_then_taken_back(path, counted):
    before = torch.get_num_threads()
    (record,) = record_runs(path, [{"seed": 1}], count, threads=before + 2)
    assert record.threads == record.figures["threads"] == before + 2
    assert torch.get_num_threads() == before


# -- recipes


@pytest.fixture
def small_recipe(monkeypatch, tmp_path):
    """The CRNN's recipe, in two parts as ever, with a network that is done at once."""
    monkeypatch.setenv("OCRLIB_BUDGET", "smoke")
    monkeypatch.setenv("OCRLIB_RUNS", str(tmp_path / "runs"))
    monkeypatch.setitem(EXPERIMENTS, "crnn", replace(EXPERIMENTS["crnn"], network=ToyCTC))


def test_a_recipe_is_recorded_with_its_figures_and_repeated(path, small_recipe):
    (record,) = record_runs(path, [{"recipe": "crnn", "seed": 1}])
    assert (record.function, record.budget, record.data) == ("recipe", "smoke", records.data_fingerprint())
    figures = record.figures
    assert figures["images"] * 5 == figures["characters"] > 0
    single = torch.tensor(figures["edits"]) / torch.tensor(figures["characters"])  # in torchmetrics' precision, bit for bit
    assert figures["cer"] == float(single)
    assert 0 < figures["training_seconds"] <= record.seconds
    repetition = repeat(record)
    assert repetition.repeated.figures["history"] == figures["history"]
    assert repetition.differences == {}
    assert "differs" not in str(repetition) and "other" not in str(repetition)


@pytest.mark.parametrize("stopped_at", [1, 15])  # steps: in the first part and in the second
def test_a_recipe_that_was_stopped_in_training_is_not_recorded_and_goes_on(path, tmp_path, small_recipe, monkeypatch, stopped_at):
    undisturbed = run_recipe("crnn")["history"]
    step, steps = loop.Loop.step, []

    def stop_at_one(self):
        steps.append(1)
        if len(steps) == stopped_at:
            signal.raise_signal(signal.SIGINT)
        return step(self)

    monkeypatch.setattr(loop.Loop, "step", stop_at_one)
    with pytest.raises(KeyboardInterrupt):
        record_runs(path, [{"recipe": "crnn"}])
    assert len(steps) == stopped_at and read_records(path) == []
    assert list(tmp_path.glob("runs/*/recorded/*.pt")), "what was done so far is kept"

    [record] = record_runs(path, [{"recipe": "crnn"}])
    assert record.figures["history"] == undisturbed
    assert not list(tmp_path.glob("runs/*/recorded/*.pt")), "and given up when the run is recorded"


def test_a_recipe_at_another_width_is_another_run(small_recipe):
    assert run_recipe("crnn", width=80)["history"] == run_recipe("crnn")["history"] != run_recipe("crnn", width=100)["history"]


# -- killed, and several at once


def test_a_study_that_is_killed_goes_on_and_ends_as_an_undisturbed_one(path, data, serial):
    killed = FORKSERVER.Process(target=study_jobs.study, args=(path, data, [*SEEDS, {"seed": 7, "epochs": 1_000_000}]))
    killed.start()
    deadline = time.monotonic() + 60
    while len(read_records(path)) < 3 and time.monotonic() < deadline:
        time.sleep(0.005)
    killed.kill()
    killed.join()
    assert killed.exitcode == -signal.SIGKILL
    before = path.read_bytes()
    finished = before[: before.rfind(b"\n") + 1]
    assert 3 <= finished.count(b"\n") <= len(SEEDS)
    run_processes(study_jobs.study, (path, data, SEEDS))
    assert path.read_bytes().startswith(finished)  # nothing was done again: the seconds are the same, too
    assert gist(read_records(path)) == serial


def test_two_whole_studies_at_once_end_with_each_run_once(path, data, serial):
    arguments = (path, data, SEEDS)
    run_processes(study_jobs.study, arguments, (path, data, SEEDS[::-1]))
    found = read_records(path)
    assert len(found) == len(SEEDS)
    assert sorted_gist(found) == sorted(serial, key=str)


# -- executors


def test_a_pool_of_processes_finds_what_a_serial_pass_finds(path, pool, serial):
    found = record_runs(path, SEEDS, train, pool, threads=1)
    assert gist(found) == serial
    assert sorted_gist(read_records(path)) == sorted(serial, key=str)
    before = path.read_bytes()
    assert record_runs(path, SEEDS, train, pool, threads=1) == found
    assert path.read_bytes() == before


def test_threads_take_turns_since_they_share_the_random_state(path, serial):
    with ThreadPoolExecutor(3) as executor:
        assert gist(record_runs(path, SEEDS, train, executor, threads=1)) == serial


def test_every_worker_has_the_number_of_threads_of_the_study(path, pool):
    found = record_runs(path, SEEDS[:3], train, pool, threads=3)
    assert [record.figures["threads"] for record in found] == [record.threads for record in found] == [3] * 3


def test_when_a_job_fails_the_run_under_way_is_recorded_and_those_that_wait_are_not_started(path, pool, tmp_path):
    failed = str(tmp_path / "failed")
    jobs = [{"number": 0, "waits_for": failed}, {"number": 1, "fails": failed}] + [{"number": n} for n in range(2, 200)]
    with pytest.raises(RuntimeError, match=r"study_jobs:number\(number=1, .*\) failed with NeedsTwoArguments: out of paper"):
        record_runs(path, jobs, study_jobs.number, pool)
    found = {record.figures["number"] for record in read_records(path)}
    assert 0 in found and 1 not in found and 199 not in found
    assert record_runs(path, [{"number": 500}], study_jobs.number, pool)[0].figures == {"number": 500}, "the pool still works"


@pytest.mark.parametrize("variable", ["OCRLIB_DATA", "OCRLIB_BUDGET"])
def test_workers_that_would_run_something_else_are_refused(variable, path, pool, tmp_path, data, monkeypatch):
    other = tmp_path / "one image"
    other.mkdir()
    file = next(data.iterdir())
    (other / file.name).write_bytes(file.read_bytes())
    monkeypatch.setenv(variable, str(other) if variable == "OCRLIB_DATA" else "smoke")
    with pytest.raises(RuntimeError, match=rf"(?s)train\(seed=1\) failed.*the study has.*{variable}"):
        record_runs(path, [{"seed": 1}], train, pool)
    assert read_records(path) == []


# -- tables


def test_a_table_has_arguments_with_their_defaults_then_figures_then_the_record():
    given = [{"recipe": "crnn", "seed": 7}, {"recipe": "crnn", "seed": 42069, "split_seed": 1, "width": 100}]
    found = [replace(RECORD, arguments=arguments, figures={"cer": 0.1, "width": 5}) for arguments in given]
    table = records_frame(found, run_recipe)
    assert set(table) == {"recipe", "seed", "split_seed", "width", "cer", "width_figure", "record"}
    assert table.split_seed.tolist() == [1, 42] and table.width_figure.tolist() == [5, 5]
    assert table.record.tolist() == found[::-1]
    assert table.query("recipe == 'crnn' and width.isna()").record.tolist() == [found[0]]
    assert set(records_frame(found[:1])) == {"recipe", "seed", "cer", "width", "record"}


def test_rows_are_sorted_by_seed_and_split_the_reported_ones_first():
    order = [(42069, 42), (42069, 1), (42069, 2), (1, 42), (2, 3), (10, 42)]
    found = [replace(RECORD, arguments={"seed": seed, "split_seed": split}) for seed, split in sorted(order)]
    assert list(zip(*(records_frame(found)[name] for name in ("seed", "split_seed")))) == order


@pytest.mark.parametrize("name", [path.stem for path in sorted((ROOT / "notebooks" / "records").glob("*.jsonl"))])
def test_every_recorded_run_is_a_row(name):
    found = read_records(ROOT / "notebooks" / "records" / f"{name}.jsonl")
    table = records_frame(found)
    assert {id(record) for record in table.record} == {id(record) for record in found}
    for row in table.to_dict("records"):
        assert all(row.get(f"{figure}_figure", row.get(figure)) == value for figure, value in row["record"].figures.items())

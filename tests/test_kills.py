"""Training that is killed with SIGKILL again and again ends with the bits of a run that nobody disturbed."""

import multiprocessing
import random
import signal
import time

import pytest
import torch
from toys import ALPHABET, ToyCE, ToyCTC, toy_captchas, weights

from ocrlib import CTC, CrossEntropy, fit, seed_everything, training

EPOCHS, KILLS = 150, 10  # kills for each of the two objectives: 20 in all


def train(network, objective, checkpoint):
    torch.set_num_threads(1)
    training.FETCH_SECONDS = training.SAVE_SECONDS = 0.02  # several checkpoints between two kills
    seed_everything(3)
    model = network()
    optimizer = torch.optim.Adadelta(model.parameters())
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.1, total_iters=EPOCHS * 3)
    train, test = toy_captchas(12, seed=1), toy_captchas(6, seed=2)
    history = fit(
        model, objective(ALPHABET), train, test, optimizer,
        epochs=EPOCHS, batch_size=5, scheduler=schedule, clip_norm=1.0, checkpoint=checkpoint, live=False,
    )  # fmt: skip
    return history.train_loss, history.test_loss, weights(model)


def train_and_keep(network, objective, checkpoint, result):
    torch.save(train(network, objective, checkpoint), result)


@pytest.mark.parametrize(("network", "objective"), [(ToyCTC, CTC), (ToyCE, CrossEntropy)])
def test_killed_runs_end_with_the_bits_of_an_undisturbed_one(tmp_path, network, objective):
    context = multiprocessing.get_context("forkserver")  # torch is imported once, by a process without threads
    context.set_forkserver_preload(["toys", "ocrlib"])

    def start(name):
        process = context.Process(target=train_and_keep, args=(network, objective, tmp_path / f"{name}.pt", tmp_path / name))
        process.start()
        return process

    start("undisturbed").join()
    undisturbed = torch.load(tmp_path / "undisturbed")
    moments = random.Random(network.__name__)
    kills = rounds = sizes = 0
    while kills < KILLS:
        rounds += 1
        name, finished = f"killed {rounds}", False
        while not finished:
            process = start(name)
            before = time.monotonic()
            while not (tmp_path / f"{name}.pt").exists() and process.is_alive() and time.monotonic() - before < 60:
                time.sleep(0.01)  # the start doesn't count: a kill before the first checkpoint has nothing to resume
            process.join(moments.uniform(0.0, 0.5))
            if kills < KILLS:
                process.kill()
            process.join()
            assert process.exitcode in (0, -signal.SIGKILL)
            finished = process.exitcode == 0  # before the kill came, or after the last one
            kills += not finished
        killed = torch.load(tmp_path / name)
        assert killed[0] == undisturbed[0] and killed[1] == undisturbed[1]
        assert torch.equal(killed[2], undisturbed[2])
        sizes += len(killed[0])
    assert kills == KILLS and sizes == rounds * EPOCHS * 3

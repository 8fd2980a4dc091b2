"""The network and recipe of a well-known example on these images, rebuilt in torch and tested on the published folds.

The example is "OCR model for reading Captchas" by A. K. Nain, among Keras' code examples (2020). The network, its initial
weights, Adam's settings and early stopping are the example's. This remains different:

- It reads all 1,070 images, not the 1,040 PNG files alone, and has no class for unknown symbols.
- Each epoch takes the images in a new order; the example's batches are the same in every epoch.
- Both directions of an LSTM drop the same inputs; in Keras each direction drops its own.
- The loss is in nats a symbol, not a text, which Adam's steps hardly depend on; Keras adds 1e-7 to each probability.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ocrlib.captchas import Captchas
from ocrlib.data.folds import FOLDS, folds
from ocrlib.data.loading import load_captchas
from ocrlib.evaluation import History, evaluate
from ocrlib.networks import Network, conv, parameter_count
from ocrlib.objectives import CTC
from ocrlib.runtime import pick_budget, pick_device, seed_everything
from ocrlib.studies.records import Figures, run_figures
from ocrlib.synthetic.generator import SYMBOLS
from ocrlib.texts import Alphabet
from ocrlib.training import fit

WIDTH, HEIGHT = 200, 50  # pixels of the images
EPOCHS, PATIENCE, BATCH = 100, 10, 16  # training ends after so many epochs without a lower validation loss
VALIDATION = 0.1  # of the training images
JOBS = [{"seed": 1, "fold": fold} for fold in range(FOLDS)]  # for `train_example`; the folds are those of ``folds.csv``


class KerasExample(Network):
    """Two convolutions, a dense layer and two bidirectional LSTM layers, for CTC.

    432,596 trainable parameters; (16, 1, 50, 200) images give logits (50, 16, 20).
    """

    objective = "CTC"

    def __init__(self, classes: int = len(SYMBOLS) + 1) -> None:
        super().__init__()
        self.dense = nn.Linear(64 * (HEIGHT // 4), 64)
        self.lstms = nn.ModuleList([nn.LSTM(64, 128, bidirectional=True), nn.LSTM(256, 64, bidirectional=True)])
        self.head = nn.Linear(128, classes)
        self.apply(initialise_as_keras)
        self.to(memory_format=torch.channels_last)  # a third faster on a CPU

    def stack(self) -> list[nn.Module]:
        # The example has each ReLU before its pool: the result is the same, and takes longer.
        return [conv(1, 32), nn.MaxPool2d(2), nn.ReLU(), conv(32, 64), nn.MaxPool2d(2), nn.ReLU()]

    def columns(self, images: Tensor) -> Tensor:
        """Images ``(N, 1, 50, W)`` in 0..255 to columns ``(T, N, 768)``: time is the width, as in Keras after transposing."""
        return self.convolutions(images / 255).permute(3, 0, 1, 2).flatten(2)

    def read(self, columns: Tensor) -> Tensor:
        sequence = F.dropout(self.dense(columns).relu(), 0.2, self.training)  # (T, N, 64)
        for lstm in self.lstms:
            # Keras drops an input of an LSTM at all steps or at none.
            kept = F.dropout(torch.ones_like(sequence[:1]), 0.25, self.training)
            sequence, _ = lstm(sequence * kept)
        return self.head(sequence)  # (T, N, C)


def initialise_as_keras(layer: nn.Module) -> None:
    """Initial weights as the example has them: He's normal in convolutions, Keras' defaults in all other layers."""
    if isinstance(layer, nn.Conv2d):
        std = math.sqrt(2 / layer.weight[0].numel()) / 0.87962566  # the deviation that cutting off at two of them takes away
        nn.init.trunc_normal_(layer.weight, std=std, a=-2 * std, b=2 * std)
        nn.init.zeros_(layer.bias)
    elif isinstance(layer, nn.Linear):
        nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(layer.bias)
    elif isinstance(layer, nn.LSTM):
        for name, values in layer.named_parameters():
            if name.startswith("weight"):
                (nn.init.xavier_uniform_ if "_ih_" in name else nn.init.orthogonal_)(values)
                continue
            nn.init.zeros_(values)
            if "_ih_" in name:
                nn.init.ones_(values[layer.hidden_size : 2 * layer.hidden_size])  # of the forget gate
            else:
                values.requires_grad_(False)  # Keras has one bias, torch the sum of two


def train_example(seed: int, fold: int) -> Figures:
    """Train the network without one fold and read that fold, under the budget in force, as figures for `record_runs`.

    ``epochs`` were trained, and the weights after ``best_epoch`` taken (counted from 1), whose ``validation_loss`` is lowest.
    """
    captchas = load_captchas(width=WIDTH, height=HEIGHT)
    captchas = captchas.subset(range(pick_budget().images(len(captchas))))
    parts = folds(len(captchas), seed)
    test = captchas.subset(parts.pop(fold))
    others = sum(parts, [])  # in random order
    n = int(len(others) * (1 - VALIDATION))
    seed_everything(seed)
    model, objective = KerasExample().to(pick_device()), CTC(Alphabet(SYMBOLS))
    history, best_epoch = fit_until_worse(model, objective, captchas.subset(others[:n]), captchas.subset(others[n:]))
    return {
        **run_figures(evaluate(model, objective, test).after_training(history), "test_loss"),
        "epochs": history.epochs,
        "best_epoch": best_epoch,
        "validation_loss": min(history.test_loss),
        "parameters": parameter_count(model),
    }


def fit_until_worse(model: Network, objective: CTC, train: Captchas, validation: Captchas) -> tuple[History, int]:
    """Train with early stopping, and restore the weights of the best epoch, which is returned with the history."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, eps=1e-7)  # Keras' defaults
    history, best_epoch, best = History(), 0, {}
    options = {"batch_size": min(BATCH, len(train)), "live": False, "raise_when_stopped": True}
    while history.epochs < pick_budget().epochs(EPOCHS) and history.epochs - best_epoch < PATIENCE:
        history = fit(model, objective, train, validation, optimizer, epochs=1, history=history, **options)
        if history.test_loss[-1] < min(history.test_loss[:-1], default=math.inf):
            best_epoch = history.epochs
            best = {name: values.clone() for name, values in model.state_dict().items()}
    model.load_state_dict(best)
    return history, best_epoch

"""What `ocrlib.fit` is given: images to train on, to test on and to choose by, and an optimizer. What can't work is refused."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from numbers import Integral

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import Subset

from ocrlib.captchas import Captchas
from ocrlib.objectives import Objective

Epochs = Captchas | Callable[[int], Captchas]  # the images of every epoch, or a function of the epoch's number, from 0


def as_captchas(images: Epochs | Subset) -> Epochs:
    """Captchas for a torch ``Subset`` of captchas, as ``random_split`` gives them; anything else as it is."""
    return as_captchas(images.dataset).subset(images.indices) if isinstance(images, Subset) else images


def checked(
    model: nn.Module, objective: Objective, train: Epochs, test: Epochs, validation: Captchas | None, epochs: int,
    batch_size: int, patience: int | None, keep_best: bool,
) -> tuple[Epochs, Epochs, Captchas | None]:  # fmt: skip
    """The images that `ocrlib.fit` is given, each as captchas. Raises ``ValueError`` for what can't work."""
    for name, number in {"epochs": epochs, "batch_size": batch_size, "patience": 1 if patience is None else patience}.items():
        if not isinstance(number, Integral) or isinstance(number, bool) or number < 1:
            raise ValueError(f"{name}={number!r}: ask for a whole number, at least one.")
    if validation is None and (keep_best or patience is not None):
        raise ValueError("keep_best and patience choose an epoch, which needs images of their own: give validation=captchas.")
    train, test, validation = map(as_captchas, (train, test, validation))
    for name, captchas in {"train": train, "test": test, "validation": validation}.items():
        if captchas is not None and not callable(captchas):  # what a function gives is checked when its epoch begins
            check(name, captchas, model, objective, batch_size)
    if validation is not None:
        check_validation(validation, test)
    return train, test, validation


def check(name: str, captchas: Captchas, model: nn.Module, objective: Objective, batch_size: int) -> None:
    """Refuse a "train" or "test" set, before training, that can't work. Raises ``ValueError``."""
    if not isinstance(captchas, Captchas):
        raise ValueError(f"The {name} set must be Captchas, as load_captchas gives them, got {type(captchas).__name__}.")
    if len(captchas) == 0:
        raise ValueError(f"The {name} set holds no image; split the data so that it has at least one.")
    if name == "train" and not 1 <= batch_size <= len(captchas):
        raise ValueError(f"batch_size={batch_size}: it must be between 1 and the {len(captchas)} training images.")
    objective.check(model, captchas.images.shape[-1], captchas.texts, captchas.widths)


def check_validation(validation: Captchas, test: Epochs) -> None:
    """Refuse validation images that are the test set, and warn of some that are in it. Raises ``ValueError``."""
    if not isinstance(test, Captchas):
        return
    seen = {image.numpy().tobytes() for image in test.images.cpu()}
    shared = sum(image.numpy().tobytes() in seen for image in validation.images.cpu())
    if shared == len(validation) or (validation.names, validation.texts) == (test.names, test.texts):
        raise ValueError(
            "The validation set is the test set. What is chosen on test images can't be measured on them: split three ways, "
            "train, validation, test = split(captchas, (...))."
        )
    if shared:
        warnings.warn(f"{shared} of the {len(validation)} validation images are test images too: draw them apart.", stacklevel=3)


def check_optimizer(model: nn.Module, optimizer: Optimizer, scheduler: LRScheduler | None) -> None:
    """Refuse, before training, an optimizer or a schedule that can't change the network. Raises ``ValueError``."""
    name, own = type(model).__name__, {id(parameter): parameter for parameter in model.parameters()}
    given = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    shared = [parameter for parameter in given if id(parameter) in own]
    if own and not shared:
        raise ValueError(
            f"This optimizer holds no weight of this {name}: it was made for another network, perhaps before the network's cell "
            f"was run again. Make it anew: {type(optimizer).__name__}(model.parameters(), ...)."
        )
    if not any(parameter.requires_grad for parameter in shared):
        raise ValueError(f"No weight of this {name} can be trained: all are frozen. Set requires_grad = True on some of them.")
    if len(shared) < len(given):
        lost = f"{len(given) - len(shared)} of the optimizer's {len(given)} tensors are not this {name}'s and will not change"
        warnings.warn(f"{lost}. Was a layer replaced after the optimizer was made? Then make it anew.", stacklevel=3)
    if getattr(scheduler, "optimizer", optimizer) is not optimizer:
        raise ValueError("The scheduler changes the learning rate of another optimizer: make it anew with this one.")


def describe_groups(optimizer: Optimizer, scheduled: bool) -> str:
    """The optimizer's parameter groups, with the settings in which each differs from its defaults.

    A schedule's own entries are left out, and what it changes as it goes: its description has the rates that it began with.
    """
    described = []
    for group in optimizer.param_groups:
        driven = {"params", "param_names", "initial_lr", "max_lr", "min_lr", "max_momentum", "base_momentum"}
        driven |= ({"lr"} if scheduled else set()) | ({"momentum", "betas"} if "max_momentum" in group else set())
        own = {key: value for key, value in group.items() if key not in driven and value != optimizer.defaults.get(key)}
        described.append(", ".join([f"{len(group['params'])} tensors", *(f"{key}={value}" for key, value in own.items())]))
    return "; ".join(described)


def describe_callable(thing: object) -> str:
    """A function's name, or an object's own description; its type where that would hold an address in memory."""
    described = repr(thing) if type(thing).__repr__ is not object.__repr__ else type(thing).__name__
    return getattr(thing, "__qualname__", described)


def describe_images(images: Epochs) -> str:
    """Their number and fingerprint, or the function that gives them."""
    if isinstance(images, Captchas):
        return f"{len(images)} images, {images.fingerprint()}"
    return f"from {describe_callable(images)}"

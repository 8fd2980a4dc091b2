"""What `ocrlib.fit` is given: images to train on, to test on and to choose by, and an optimizer. What can't work is refused."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping
from numbers import Integral

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau
from torch.utils.data import Subset

from ocrlib.captchas import Captchas
from ocrlib.objectives import Objective
from ocrlib.runtime import Remark

Epochs = Captchas | Callable[[int], Captchas]  # the images of every epoch, or a function of the epoch's number, from 0


def as_captchas(images: Epochs | Subset) -> Epochs:
    """Captchas for a torch ``Subset`` of captchas, as ``random_split`` gives them; anything else as it is."""
    if not isinstance(images, Subset):
        return images
    return only_captchas("data set of a Subset", images.dataset).subset(images.indices)


def only_captchas(name: str, images: object) -> Captchas:
    """`as_captchas`; raises ``ValueError`` for anything else."""
    if not isinstance(captchas := as_captchas(images), Captchas):
        raise ValueError(f"The {name} must be Captchas, as load_captchas gives them, got {type(captchas).__name__}.")
    return captchas


def checked(
    model: nn.Module, objective: Objective, train: Epochs, test: Epochs, validation: Captchas | None, epochs: int,
    batch_size: int, patience: int | None, keep_best: bool,
) -> tuple[Epochs, Epochs, Captchas | None]:  # fmt: skip
    """The images that `ocrlib.fit` is given, each as captchas. Raises ``ValueError`` for what can't work."""
    for name, number in {"epochs": epochs, "batch_size": batch_size, "patience": 1 if patience is None else patience}.items():
        if not isinstance(number, Integral) or isinstance(number, bool) or number < 1:
            raise ValueError(f"{name}={number!r}: ask for a whole number, at least one.")
    if not (isinstance(model, nn.Module) and isinstance(objective, Objective)):
        raise ValueError(f"A network and an objective, CTC(alphabet), were expected, got {model!r:.30} and {objective!r:.30}.")
    if validation is None and (keep_best or patience is not None):
        raise ValueError("keep_best and patience choose an epoch, which needs images of their own: give validation=captchas.")
    train, test, validation = map(as_captchas, (train, test, validation))
    for name, captchas in {"train": train, "test": test, "validation": validation}.items():
        if captchas is not None and not callable(captchas):  # what a function gives is checked when its epoch begins
            check(name, captchas, model, objective, batch_size)
    if validation is not None:
        check_validation(validation, train, test)
    return train, test, validation


def check(name: str, captchas: Captchas, model: nn.Module, objective: Objective, batch_size: int) -> None:
    """Refuse a "train" or "test" set, before training, that can't work. Raises ``ValueError``."""
    captchas = only_captchas(f"{name} set", captchas)
    if len(captchas) == 0:
        raise ValueError(f"The {name} set holds no image; split the data so that it has at least one.")
    if name == "train" and not 1 <= batch_size <= len(captchas):
        raise ValueError(f"batch_size={batch_size}: it must be between 1 and the {len(captchas)} training images.")
    objective.check(model, captchas.images.shape[-1], captchas.texts, captchas.widths)


def check_validation(validation: Captchas, train: Epochs, test: Epochs) -> None:
    """Refuse validation images that are the test set; warn of some that are tested or trained on. Raises ``ValueError``."""
    pixels = [image.numpy().tobytes() for image in validation.images.cpu()]
    for name, others in {"test": test, "training": train}.items():
        if not isinstance(others, Captchas):
            continue
        seen = {image.numpy().tobytes() for image in others.images.cpu()}
        shared = sum(image in seen for image in pixels)
        same = shared == len(validation) or (validation.names, validation.texts) == (others.names, others.texts)
        if same and name == "test":
            raise ValueError(
                "The validation set is the test set. What is chosen on test images can't be measured on them: split three ways, "
                "train, validation, test = split(captchas, (...))."
            )
        if shared:
            what = f"{shared} of the {len(validation)} validation images are {name} images too"
            warnings.warn(f"{what}: draw them apart.", Remark, stacklevel=4)


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
        warnings.warn(f"{lost}. Was a layer replaced after the optimizer was made? Then make it anew.", Remark, stacklevel=3)
    if getattr(scheduler, "optimizer", optimizer) is not optimizer:
        raise ValueError("The scheduler changes the learning rate of another optimizer: make it anew with this one.")


def describe_groups(optimizer: Optimizer, scheduled: bool) -> str:
    """The optimizer's parameter groups, with the settings in which each differs from its defaults.

    A schedule's own entries are left out, and what it changes as it goes: its description has the rates that it began with.
    """
    described = []
    for group in optimizer.param_groups:
        driven = {"params", "param_names", "initial_lr", "max_lr", "min_lr", "max_momentum", "base_momentum", "capturable"}
        driven |= ({"lr"} if scheduled else set()) | ({"momentum", "betas"} if "max_momentum" in group else set())
        own = {key: value for key, value in group.items() if key not in driven and value != optimizer.defaults.get(key)}
        described.append(", ".join([f"{len(group['params'])} tensors", *(f"{key}={value}" for key, value in own.items())]))
    return "; ".join(described)


def describe_schedule(schedule: LRScheduler) -> str:
    """Which schedule it is: the entries of its state that don't say how far it has come, and the parts that it is made of."""
    plain = {key: value for key, value in schedule.state_dict().items() if isinstance(value, (int, float, str, list, dict))}
    moving, fixed = {"last_epoch"}, {"_milestones", "_schedule_phases", "_anneal_func_type"}
    if isinstance(schedule, ReduceLROnPlateau):
        moving |= {"best", "num_bad_epochs", "cooldown_counter"}
        plain["base_lrs"] = [float(group["initial_lr"]) for group in schedule.optimizer.param_groups]
    plain |= {f"min_lr {i}": group["min_lr"] for i, group in enumerate(schedule.optimizer.param_groups) if "min_lr" in group}
    plain = {key: value for key, value in plain.items() if key in fixed or key not in moving and not key.startswith("_")}
    if functions := getattr(schedule, "lr_lambdas", None):  # no state says which functions they are, but their values do
        plain["lr_lambdas"] = [[function(step) for step in (0, 1, 10, 100, 1000)] for function in functions]
    if parts := getattr(schedule, "_schedulers", None):  # of those that are joined or chained
        plain["schedules"] = [describe_schedule(part) for part in parts]
    return describe(schedule, plain)


def describe(thing: object, settings: Mapping[str, object]) -> str:
    """Its type with the settings: ``Adam(lr=0.001, ...)``."""
    return f"{type(thing).__name__}({', '.join(f'{key}={value}' for key, value in settings.items())})"


def describe_callable(thing: object) -> str:
    """A function's name, or an object's own description, without addresses in memory."""
    return getattr(thing, "__qualname__", re.sub(r" at 0x[0-9a-fA-F]+", "", repr(thing)))


def describe_images(images: Epochs) -> str:
    """Their number and fingerprint, or the function that gives them."""
    if isinstance(images, Captchas):
        return f"{len(images)} images, {images.fingerprint()}"
    return f"from {describe_callable(images)}"

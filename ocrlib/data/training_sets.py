"""The images that `ocrlib.fit` is given, to train on, to test on and to choose by: refused before training where they can't work."""

from __future__ import annotations

import warnings
from collections.abc import Callable

from torch import nn
from torch.utils.data import Subset

from ocrlib.captchas import Captchas
from ocrlib.objectives import Objective

Epochs = Captchas | Callable[[int], Captchas]  # the images of every epoch, or a function of the epoch's number, from 0


def as_captchas(images: Epochs | Subset) -> Epochs:
    """Captchas for a torch ``Subset`` of captchas, as ``random_split`` gives them; anything else as it is."""
    return as_captchas(images.dataset).subset(images.indices) if isinstance(images, Subset) else images


def check(name: str, captchas: Captchas, model: nn.Module, objective: Objective, batch_size: int) -> None:
    """Refuse a "train" or "test" set, before training, that can't work. Raises ``ValueError``."""
    if not isinstance(captchas, Captchas):
        raise ValueError(f"The {name} set must be Captchas, as load_captchas gives them, got {type(captchas).__name__}.")
    if len(captchas) == 0:
        raise ValueError(f"The {name} set holds no image; split the data so that it has at least one.")
    if name == "train" and not 1 <= batch_size <= len(captchas):
        raise ValueError(f"batch_size={batch_size}: it must be between 1 and the {len(captchas)} training images.")
    objective.check(model, captchas.images.shape[-1], captchas.texts)


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

"""A training step with tensors that stay in place, so that a GPU can repeat it as one CUDA graph, launched at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

# "off"; "static": a graph's arithmetic, but launched one by one (tests); "graph". Off until `make gpu-check` was seen to pass.
MODE = "off"
WARM_UP = 3  # steps of a shape that are launched one by one before it is captured: libraries and optimizer allocate in them


@dataclass
class Captured:
    """The tensors of one shape of batch, and their graph once there is one."""

    inputs: list[Tensor]
    steps: int = 0
    graph: torch.cuda.CUDAGraph | None = None
    loss: Tensor | None = None
    gradients: Sequence[Tensor | None] = ()


class StaticStep:
    """Calls ``step``, which maps the tensors of a batch to its loss and changes weights, with copies that stay in place.

    On CUDA, with ``capture``, each shape of batch gets a graph of its own. ``step`` must not look at values on the host, and all
    that it changes must lie on the device: `prepare` sees to the optimizer. A graph repeats what it saw: hooks in Python are not
    called again, and a learning rate that no schedule changes stays as it was. The next step overwrites the last one's loss.
    """

    def __init__(self, step: Callable[..., Tensor], parameters: Sequence[nn.Parameter], capture: bool) -> None:
        self.step, self.parameters, self.capture = step, parameters, capture
        self.shapes: dict[tuple[torch.Size, ...], Captured] = {}

    def __call__(self, *batch: Tensor) -> Tensor:
        """The loss of one step on ``batch``."""
        key = tuple(tensor.shape for tensor in batch)
        if key not in self.shapes:
            self.shapes[key] = Captured([torch.empty_like(tensor) for tensor in batch])
        captured = self.shapes[key]
        for own, given in zip(captured.inputs, batch):
            own.copy_(given)
        captured.steps += 1
        if not self.capture:
            return self.step(*captured.inputs)
        if captured.steps <= WARM_UP:  # on another stream, as torch's notes on CUDA graphs ask for
            stream = torch.cuda.Stream()
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                loss = self.step(*captured.inputs)
            torch.cuda.current_stream().wait_stream(stream)
            return loss
        if captured.graph is None:
            for parameter in self.parameters:
                parameter.grad = None  # so that the graph makes gradients of its own
            captured.graph = torch.cuda.CUDAGraph()  # knows torch's generator: dropout draws on, as if launched one by one
            with torch.cuda.graph(captured.graph):
                captured.loss = self.step(*captured.inputs)
            captured.gradients = [parameter.grad for parameter in self.parameters]
        captured.graph.replay()
        for parameter, gradient in zip(self.parameters, captured.gradients):
            parameter.grad = gradient  # another shape's step has left its own
        return captured.loss


def prepare(optimizer: Optimizer, device: torch.device, scheduled: bool) -> None:
    """Move to a GPU what changes in ``optimizer`` from step to step: its count, and with a schedule the rate."""
    if MODE == "off" or device.type != "cuda":
        return
    for group in optimizer.param_groups:
        if "capturable" in group:
            group["capturable"] = True
        if scheduled:
            group["lr"] = torch.as_tensor(group["lr"], dtype=torch.float32, device=device)
    for state in optimizer.state.values():
        if "step" in state:
            state["step"] = torch.as_tensor(state["step"], dtype=torch.float32, device=device)

"""Recorder: a captured program run operator by operator in PyTorch, and what each operator gave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.export.graph_signature import InputKind
from torch.fx import Interpreter

if TYPE_CHECKING:
    from torch.export import ExportedProgram
    from torch.fx import Node


class Recorder(Interpreter):
    """Values by the names of their nodes, which ONNX's exporter gives its values too. Shapes: as the program's."""

    def __init__(self, program: ExportedProgram) -> None:
        super().__init__(program.graph_module)
        self._program = program
        self.values: dict[str, Any] = {}
        self.outputs: tuple[Any, ...] = ()

    def run_node(self, n: Node) -> Any:
        """Run and keep."""
        made = super().run_node(n)
        if n.op == "call_function":
            self.values[n.name] = made
        return made

    def record(self, inputs: tuple[torch.Tensor, ...]) -> None:
        """Run all of it on some inputs."""
        program, given = self._program, iter(inputs)
        held = {**program.state_dict, **program.constants}
        asked = [
            next(given) if spec.kind == InputKind.USER_INPUT else held[str(spec.target)]
            for spec in program.graph_signature.input_specs
        ]
        with torch.no_grad():
            made = self.run(*asked)
        self.outputs = tuple(made) if isinstance(made, tuple | list) else (made,)

    def output_names(self, count: int) -> list[str]:
        """Nodes that the last outputs are of, so many."""
        (end,) = (node for node in self._program.graph.nodes if node.op == "output")
        return [str(node) for node in end.args[0]][-count:]

    def layers(self) -> dict[str, str]:
        """Of each node the layer that it is from, by path."""
        found = {}
        for node in self._program.graph.nodes:
            stack = node.meta.get("nn_module_stack")
            found[node.name] = next(reversed(stack.values()))[0] if stack else ""
        return found

"""The interface for nodes: what they declare is kept as it is given."""

from types import SimpleNamespace


class Declared:
    """An input or an output."""

    def __init__(self, kind, name=None, **told):
        self.kind, self.id, self.told = kind, name, told


class Kind:
    """A type of what flows between nodes."""

    def __init__(self, name):
        self.Input = lambda id, **told: Declared(name, id, **told)  # noqa: A006 - the host's name
        self.Output = lambda **told: Declared(name, **told)


class ComfyNode:
    """The parent of nodes."""


class Schema(SimpleNamespace):
    """What a node is."""


class NodeOutput:
    """What a node answers."""

    def __init__(self, *args):
        self.args = args


class ComfyExtension:
    """A pack."""


io = SimpleNamespace(
    ComfyNode=ComfyNode,
    Schema=Schema,
    NodeOutput=NodeOutput,
    Custom=Kind,
    **{name: Kind(name.upper()) for name in ("Combo", "Float", "String", "Latent", "Mask", "Sampler")},
)

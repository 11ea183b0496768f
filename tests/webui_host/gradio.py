"""gradio as a script's `ui` needs it where no page is drawn: components that keep what they were made with."""


class Component:
    def __init__(self, value=None, *, label=None, visible=True, elem_id=None, **more):
        self.value, self.label, self.visible, self.elem_id, self.info = value, label, visible, elem_id, None
        self.choices = more.get("choices")
        self.events = {}

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        pass

    def on(self, event, function, inputs=(), outputs=()):
        self.events[event] = (function, inputs, outputs)
        return self

    def change(self, *given, **_more):
        return self.on("change", *given)

    def input(self, *given, **_more):
        return self.on("input", *given)

    def click(self, *given, **_more):
        return self.on("click", *given)

    def then(self, *_given, **_more):
        return self

    def happen(self, event, values):
        """For tests: what the function of an event answers, as {output: update}, for {input: value}."""
        function, inputs, outputs = self.events[event]
        answer = function(*(values.get(component, component.value) for component in inputs))
        return dict(zip(outputs, answer if isinstance(answer, list) else [answer], strict=True))


_kinds = "Accordion Button Checkbox Column Dropdown Group HTML Image Markdown Number Radio Row Slider Tab Tabs Textbox"
globals().update({name: type(name, (Component,), {}) for name in _kinds.split()})


def update(**changes):
    return changes


def Warning(message):  # noqa: A001 - gradio's name
    warnings.append(message)


warnings = []
"""For tests: what the page would have shown."""

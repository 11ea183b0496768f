import gradio as gr


class FormComponent:
    def get_expected_parent(self):
        return gr.components.Form


class ToolButton(FormComponent, gr.Button):
    def __init__(self, *args, **kwargs):
        classes = kwargs.pop("elem_classes", [])
        super().__init__(*args, elem_classes=["tool", *classes], **kwargs)

    def get_block_name(self):
        return "button"


class FormRow(FormComponent, gr.Row):
    def get_block_name(self):
        return "row"


class FormColumn(FormComponent, gr.Column):
    def get_block_name(self):
        return "column"


class FormGroup(FormComponent, gr.Group):
    def get_block_name(self):
        return "group"


class InputAccordion(gr.Checkbox):
    """An accordion that is an input: open means True. The real host hides the checkbox."""

    index = 0

    def __init__(self, value, **kwargs):
        InputAccordion.index += 1
        self.accordion_id = kwargs.pop("elem_id", None) or f"input-accordion-{InputAccordion.index}"
        super().__init__(value, elem_id=f"{self.accordion_id}-checkbox", **kwargs)
        self.accordion = gr.Accordion(
            label=kwargs.get("label", "Accordion"),
            elem_id=self.accordion_id,
            elem_classes=["input-accordion"],
            open=value,
        )

    def extra(self):
        return gr.Column(elem_id=self.accordion_id + "-extra", min_width=0)

    def __enter__(self):
        self.accordion.__enter__()
        return self

    def __exit__(self, *exc):
        self.accordion.__exit__(*exc)

    def get_block_name(self):
        return "checkbox"

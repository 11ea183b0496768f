import gradio as gr


class InputAccordion(gr.Checkbox):
    """An accordion that is an input: open means True."""

    def extra(self):
        return gr.Column()

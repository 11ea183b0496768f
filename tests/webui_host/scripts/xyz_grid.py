"""X/Y/Z plot: extensions add to `axis_options`."""

import csv
from collections import namedtuple
from copy import copy
from io import StringIO

import gradio as gr
from modules import errors, images, processing, scripts, sd_samplers, shared
from modules.processing import Processed, process_images

AxisInfo = namedtuple("AxisInfo", ["axis", "values"])


def apply_field(field):
    return lambda p, x, xs: setattr(p, field, x)


def format_value_add_label(p, opt, x):
    return f"{opt.label}: {round(x, 8) if isinstance(x, float) else x}"


def confirm_samplers(p, xs):
    for x in xs:
        if x.lower() not in sd_samplers.samplers_map:
            raise RuntimeError(f"Unknown sampler: {x}")


class AxisOption:
    def __init__(
        self,
        label,
        type,  # noqa: A002
        apply,
        format_value=format_value_add_label,
        confirm=None,
        cost=0.0,
        choices=None,
        prepare=None,
    ):
        self.label, self.type, self.apply, self.format_value = label, type, apply, format_value
        self.confirm, self.cost, self.choices, self.prepare = confirm, cost, choices, prepare


class AxisOptionImg2Img(AxisOption):
    is_img2img = True


class AxisOptionTxt2Img(AxisOption):
    is_img2img = False


def visible():
    return [x.name for x in sd_samplers.samplers]


axis_options = [
    AxisOption("Nothing", str, lambda p, x, xs: None, format_value=lambda p, opt, x: ""),
    AxisOption("Seed", int, apply_field("seed")),
    AxisOption("Steps", int, apply_field("steps")),
    AxisOption("CFG Scale", float, apply_field("cfg_scale")),
    AxisOptionTxt2Img("Sampler", str, apply_field("sampler_name"), confirm=confirm_samplers, choices=visible),
    AxisOptionTxt2Img("Hires sampler", str, apply_field("hr_sampler_name"), confirm=confirm_samplers, choices=visible),
    AxisOptionImg2Img("Sampler", str, apply_field("sampler_name"), confirm=confirm_samplers, choices=visible),
    AxisOption("Eta", float, apply_field("eta")),
]


class Script(scripts.Script):
    def title(self):
        return "X/Y/Z plot"

    def ui(self, is_img2img):
        self.current_axis_options = [x for x in axis_options if type(x) is AxisOption or x.is_img2img == is_img2img]
        labels = [x.label for x in self.current_axis_options]
        inputs = []
        for axis in "XYZ":
            first = labels[1 if axis == "X" else 0]
            inputs += [
                gr.Dropdown(
                    labels,
                    value=first,
                    label=f"{axis} type",
                    type="index",
                    elem_id=self.elem_id(f"{axis.lower()}_type"),
                ),
                gr.Textbox(label=f"{axis} values", elem_id=self.elem_id(f"{axis.lower()}_values")),
                gr.Dropdown([], label=f"{axis} values", visible=False, multiselect=True),
            ]
        inputs.append(gr.Checkbox(True, label="Draw legend", elem_id=self.elem_id("draw_legend")))
        inputs.append(gr.Checkbox(False, label="Include Sub Images", elem_id=self.elem_id("include_lone_images")))
        inputs.append(
            gr.Checkbox(False, label="Use text inputs instead of dropdowns", elem_id=self.elem_id("csv_mode"))
        )
        return inputs

    def axis(self, p, index, values, chosen, csv_mode):
        option = self.current_axis_options[index or 0]
        if option.label == "Nothing":
            return option, [0]
        texts = (
            chosen
            if option.choices is not None and not csv_mode
            else next(csv.reader(StringIO(values), skipinitialspace=True))
        )
        values = [option.type(text) for text in texts]
        if option.confirm:
            option.confirm(p, values)
        return option, values

    def run(self, p, *args):
        draw_legend, include_lone_images, csv_mode = args[9:12]
        processing.fix_seed(p)
        axes = [self.axis(p, *args[3 * k : 3 * k + 3], csv_mode) for k in range(3)]
        (x_opt, xs), (y_opt, ys), (_, zs) = axes
        state = shared.state
        state.job_count = len(xs) * len(ys) * len(zs) * p.n_iter
        shared.total_tqdm.updateTotal(p.steps * state.job_count)
        state.xyz_plot_x, state.xyz_plot_y, state.xyz_plot_z = (AxisInfo(*axis) for axis in axes)
        cells = [self.cell(p, axes, (x, y, z)) for z in zs for y in ys for x in xs]
        result = copy(next((cell for cell in cells if cell.images), None) or cells[0])
        if not any(cell.images for cell in cells):
            return Processed(p, [])
        blank = images.Image.new("RGB", (p.width, p.height))
        pictures = [cell.images[0] if cell.images else blank for cell in cells]
        sheet = images.image_grid(pictures, rows=len(ys) * len(zs))
        if draw_legend:
            rows = [[images.GridAnnotation(y_opt.format_value(p, y_opt, y))] for _ in zs for y in ys]
            cols = [[images.GridAnnotation(x_opt.format_value(p, x_opt, x))] for x in xs]
            sheet = images.draw_grid_annotations(
                sheet, *map(max, zip(*(i.size for i in pictures), strict=True)), cols, rows
            )
        if shared.opts.grid_save:
            images.save_image(sheet, p.outpath_grids, "xyz_grid", info=cells[0].info, p=p, grid=True)
        result.images = [sheet, *(pictures if include_lone_images else [])]
        result.infotexts = [cells[0].info, *(cell.info for cell in cells)]
        result.index_of_first_image = 1
        return result

    @staticmethod
    def cell(p, axes, values):
        if shared.state.interrupted:
            return Processed(p, [], p.seed, "")
        pc = copy(p)  # shallow: dictionaries are shared between the cells
        for (option, all_values), value in zip(axes, values, strict=True):
            option.apply(pc, value, all_values)
        try:
            return process_images(pc)
        except Exception as e:
            errors.display(e, "generating image for xyz plot")
            return Processed(p, [], p.seed, "")

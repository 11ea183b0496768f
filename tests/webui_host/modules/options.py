"""Settings: a table of labels and a table of values."""

import json
from pathlib import Path


class OptionInfo:
    def __init__(
        self,
        default=None,
        label="",
        component=None,
        component_args=None,
        onchange=None,
        section=None,
        refresh=None,
        comment_before="",
        comment_after="",
        infotext=None,
        restrict_api=False,
        category_id=None,
    ):
        self.default, self.label, self.component, self.component_args = default, label, component, component_args
        self.onchange, self.section, self.refresh, self.category_id = onchange, section, refresh, category_id
        self.comment_before, self.comment_after = comment_before, comment_after
        self.infotext, self.restrict_api, self.do_not_save = infotext, restrict_api, False

    def info(self, info):
        self.comment_after += f"<span class='info'>({info})</span>"
        return self

    def html(self, html):
        self.comment_after += html
        return self

    def link(self, label, url):
        self.comment_before += f"[<a href='{url}'>{label}</a>]"
        return self

    def needs_reload_ui(self):
        return self.info("requires Reload UI")

    def needs_restart(self):
        return self.info("requires restart")


class OptionHTML(OptionInfo):
    def __init__(self, text):
        super().__init__(str(text).strip(), label="")
        self.do_not_save = True


def options_section(section_identifier, options_dict):
    for info in options_dict.values():
        info.section = section_identifier[:2]
        info.category_id = section_identifier[2] if len(section_identifier) > 2 else None
    return options_dict


class Options:
    def __init__(self, data_labels):
        self.__dict__["data_labels"] = data_labels
        self.__dict__["data"] = {k: v.default for k, v in data_labels.items() if not v.do_not_save}

    def __setattr__(self, key, value):
        if key in self.data_labels or key in self.data:
            self.data[key] = value
        else:
            super().__setattr__(key, value)

    def __getattr__(self, key):
        if key in self.data:
            return self.data[key]
        if key in self.data_labels:
            return self.data_labels[key].default
        raise AttributeError(f"'Options' object has no attribute '{key}'")

    def set(self, key, value, is_api=False, run_callbacks=True):
        old = self.data.get(key)
        if old == value:
            return False
        setattr(self, key, value)
        if run_callbacks and key in self.data_labels and self.data_labels[key].onchange:
            try:
                self.data_labels[key].onchange()
            except Exception:
                setattr(self, key, old)
                return False
        return True

    def get_default(self, key):
        info = self.data_labels.get(key)
        return None if info is None else info.default

    def add_option(self, key, info):
        self.data_labels[key] = info
        if key not in self.data and not info.do_not_save:
            self.data[key] = info.default

    def onchange(self, key, func, call=True):
        self.data_labels[key].onchange = func
        if call:
            func()

    def cast_value(self, key, value):
        default = self.data_labels[key].default
        if value is None or default is None:
            return value
        return value == "True" if isinstance(default, bool) and isinstance(value, str) else type(default)(value)

    def save(self, filename):
        Path(filename).write_text(json.dumps(self.data), encoding="utf-8")

    def load(self, filename):
        self.data.update(json.loads(Path(filename).read_text(encoding="utf-8")))

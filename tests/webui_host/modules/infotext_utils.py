"""Infotexts: from text to values, and from values to controls."""

import json
import re

re_param = re.compile(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')
re_imagesize = re.compile(r"^(\d+)x(\d+)$")


def quote(text):
    return json.dumps(text, ensure_ascii=False) if re.search("[,\n:]", str(text)) else text


def parse_generation_parameters(text):
    prompt, _, last = text.strip().rpartition("\n")
    res = {"Prompt": prompt}
    for key, value in re_param.findall(last):
        value = json.loads(value) if value[:1] == '"' else value
        if m := re_imagesize.match(str(value)):
            res[f"{key}-1"], res[f"{key}-2"] = m.groups()
        else:
            res[key] = value
    return res


def pasted(component, value):
    """What a control becomes, in the type of its value; None leaves it as it was."""
    kind = type(component.value)
    if kind is bool and value == "False":
        return False
    try:
        return value if value is None else float(value) if kind is int else kind(value)
    except ValueError:
        return None

"""A webui as its HTTP interface shows it."""

import json
import time
from dataclasses import dataclass

import requests

from webui.jobs import JOB, LABELS, decode


@dataclass
class Result:
    """What a job answered."""

    images: list
    info: dict

    @property
    def infotexts(self):
        return self.info["infotexts"]

    @property
    def image(self):
        return self.images[0]


class Webui:
    def __init__(self, url):
        self.url = url.rstrip("/")

    def get(self, path):
        response = requests.get(f"{self.url}/sdapi/v1/{path}", timeout=60)
        response.raise_for_status()
        return response.json()

    def post(self, path, body=None):
        return requests.post(f"{self.url}/sdapi/v1/{path}", json=body or {}, timeout=300)

    def script(self, name, kind="txt2img"):
        """The host's description of a script."""
        found = [s for s in self.get("script-info") if s["name"] == name and s["is_img2img"] == (kind == "img2img")]
        assert len(found) == 1, f"{name} is there {len(found)} times"
        return found[0]

    @property
    def is_dropdown(self):
        return not self.script("sonar")["is_alwayson"]

    def args(self, options, kind="txt2img"):
        """The script's positional arguments with some options changed, by their labels."""
        known = self.script("sonar", kind)["args"]
        labels = [arg["label"] for arg in known]
        values = [arg.get("value") for arg in known]
        for name, value in options.items():
            values[labels.index(LABELS[name])] = value
        return values

    def request(self, kind="txt2img", sonar=None, **fields):
        body = {**JOB, **fields}
        if sonar is None:
            return body
        if self.is_dropdown:
            return {**body, "script_name": "sonar", "script_args": self.args(sonar, kind)}
        scripts = {**body.get("alwayson_scripts", {}), "sonar": {"args": self.args({"enable": True, **sonar}, kind)}}
        return {**body, "alwayson_scripts": scripts}

    def run(self, kind="txt2img", sonar=None, **fields):
        """A job that is expected to work."""
        response = self.post(kind, self.request(kind, sonar, **fields))
        assert response.status_code == 200, response.text[:500]
        answer = response.json()
        return Result([decode(text) for text in answer["images"]], json.loads(answer["info"]))

    def refused(self, kind="txt2img", sonar=None, **fields):
        """The text of the error with which a bad value is answered."""
        response = self.post(kind, self.request(kind, sonar, **fields))
        assert response.status_code == 422, (response.status_code, response.text[:300])
        return response.text

    def by_name(self, options):
        """The part of a request that gives options by name."""
        if self.is_dropdown:
            return {"script_name": "sonar", "script_args": [options]}
        return {"alwayson_scripts": {"sonar": {"args": [options]}}}

    def xyz(self, axes, **fields):
        """The X/Y/Z plot over {label of an axis: values as text}, with all its cells."""
        known = self.script("x/y/z plot")["args"]
        values = [arg.get("value") for arg in known]
        labels = [arg["label"] for arg in known]
        choices = next(arg["choices"] for arg in known if arg["label"] == "X type")
        for letter in "XYZ":
            values[labels.index(f"{letter} type")] = 0
        for letter, (axis, texts) in zip("XYZ", axes.items(), strict=False):
            values[labels.index(f"{letter} type")] = choices.index(axis)
            values[labels.index(f"{letter} values")] = texts
        for k, label in enumerate(labels):
            if label.endswith(" values") and values[k] is None:
                values[k] = []
            if label in ("Include Sub Images", "Use text inputs instead of dropdowns"):
                values[k] = True
        return self.run(script_name="x/y/z plot", script_args=values, **fields)

    def axes(self):
        """Labels of all axes of the X/Y/Z plot."""
        return next(arg["choices"] for arg in self.script("x/y/z plot")["args"] if arg["label"] == "X type")

    def wait(self, condition, seconds=30):
        """Polls the progress until it fulfils a condition."""
        end = time.monotonic() + seconds
        while not condition(progress := self.get("progress")):
            assert time.monotonic() < end, progress["state"]
            time.sleep(0.02)
        return progress

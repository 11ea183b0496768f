"""The webui's page in a browser: what a user does there, in a few words."""

import contextlib
import io
import re
import time

import requests
from PIL import Image
from playwright.sync_api import expect

TABS = {
    "momentum": "Momentum",
    "reference": "Reference",
    "passes": "pscaling",
    "grid": "Grid search",
    "gradients": "Gradients",
}
FAST = {"steps": 4, "width": 64, "height": 64}


class Page:
    """A tab of the browser with the page drawn. Controls of the panel go by their option's name."""

    def __init__(self, tab, webui, folder):
        self.tab, self.webui, self.folder = tab, webui, folder
        self.errors, self.shots = [], 0
        tab.on("pageerror", lambda error: self.errors.append(str(error)))
        tab.goto(webui.url, wait_until="domcontentloaded")
        expect(self.at("#txt2img_prompt textarea")).to_be_visible(timeout=60_000)
        for name, value in FAST.items():
            self.number(f"#txt2img_{name}", value)

    def at(self, selector):
        return self.tab.locator(selector).first

    def id(self, name):
        return f"#script_txt2img_sonar_{name}"

    def shot(self, name):
        """A picture of the page, beside the test's other files."""
        self.shots += 1
        self.tab.screenshot(path=self.folder / f"{self.shots}-{name}.png", full_page=True)

    # Controls

    def number(self, selector, value):
        field = self.at(f"{selector} input[type=number]")
        field.fill(str(value))
        field.press("Tab")

    def slide(self, name, steps):
        """Moves a slider by the keyboard."""
        slider = self.at(f"{self.id(name)} input[type=range]")
        slider.focus()
        for _ in range(abs(steps)):
            slider.press("ArrowRight" if steps > 0 else "ArrowLeft")

    def select(self, selector, choice):
        self.at(f"{selector} input").click()
        self.tab.locator(
            f"{selector} ul.options li", has_text=re.compile(rf"^\W*{re.escape(choice)}\s*$")
        ).first.click()

    def choices(self, selector):
        self.at(f"{selector} input").click()
        expect(self.at(f"{selector} ul.options li")).to_be_visible()
        texts = [text.strip(" ✓\n") for text in self.tab.locator(f"{selector} ul.options li").all_inner_texts()]
        self.at(f"{selector} input").press("Escape")
        self.at("#txt2img_prompt textarea").click()
        return texts

    def choose(self, name, choice):
        """A choice of some buttons."""
        self.tab.locator(f"{self.id(name)} label", has_text=re.compile(rf"^\s*{re.escape(choice)}\s*$")).first.click()

    def tick(self, name, on=True):
        self.box(self.id(name)).set_checked(on)

    def box(self, block):
        """The checkbox of a block, or of an accordion's header: the real webui has two there and hides one."""
        boxes = f"{block} input[type=checkbox], {block}-checkbox input[type=checkbox]"
        return self.tab.locator(boxes).locator("visible=true").first

    def switch_hires_on(self):
        self.box("#txt2img_hr").set_checked(True)

    def write(self, name, text):
        field = self.at(f"{self.id(name)} textarea, {self.id(name)} input")
        field.fill(text)
        field.press("Tab")

    def shows(self, name):
        return self.at(self.id(name)).is_visible()

    def expect_shown(self, name, shown=True):
        expect(self.at(self.id(name))).to_be_visible(visible=shown)

    def expect_picture(self, name):
        """Waits until a picture is shown, or a canvas with it to draw on."""
        block = self.id(name)
        expect(self.tab.locator(f"{block} img, {block} canvas").locator("visible=true").first).to_be_visible()

    def clear(self, name):
        """Takes a picture away: of one that can be drawn on, "Clear" is the drawing."""
        block = self.id(name)
        removes = self.tab.locator(f"{block} [title='Remove Image']")
        (removes if removes.count() else self.at(f"{block} [title=Clear]")).first.click()

    def value(self, name):
        """What a control of the panel says."""
        block = self.id(name)
        for selector, read in (
            ("input[type=number]", lambda it: float(it.input_value())),
            ("input[type=checkbox]", lambda it: it.is_checked()),
            ("input[type=radio]:checked", lambda it: it.input_value()),
            ("textarea, input", lambda it: it.input_value()),
        ):
            found = self.tab.locator(f"{block} {selector.replace(', ', f', {block} ')}")
            if found.count():
                return read(found.first)
        raise AssertionError(f"{name}: no value")

    # What a user does

    def open_panel(self):
        """Selects Sonar in the Script dropdown, or opens the accordion and ticks Enable."""
        if self.webui.is_dropdown:
            self.select("#tab_txt2img #script_list", "Sonar")
        else:
            self.tick("enable")
            self.unfold("enable")
        expect(self.at(self.id("momentum"))).to_be_visible()

    def unfold(self, name):
        """Opens an accordion that is closed."""
        header = self.at(f"{self.id(name)} > .label-wrap")
        if "open" not in header.get_attribute("class").split():
            header.click()

    def open_tab(self, group):
        """Opens "Advanced", and one of its tabs."""
        self.unfold("advanced")
        self.tab.locator(f"{self.id('tabs')} > .tab-nav button", has_text=TABS[group]).click()

    def is_enabled(self):
        """Whether the box in the accordion's header is ticked."""
        return self.at(f"{self.id('enable')}-checkbox input").is_checked()

    def says(self, place):
        """The text at a place of the panel."""
        return self.at(self.id(f"text_{place}"))

    def open_settings(self, section):
        """The Settings page, at one of its sections."""
        self.tab.locator("#tabs > .tab-nav button", has_text="Settings").click()
        self.tab.locator("#settings > .tab-nav button", has_text=section).click()

    def reload_ui(self, done, seconds=120):
        """Presses "Reload UI" and waits for a condition, during which the server is away; the new page."""
        self.tab.locator("#tabs > .tab-nav button", has_text="Settings").click()
        self.at("#settings_restart_gradio").click()
        self.tab.wait_for_timeout(1000)
        # It ends when its pages have let go of it, and dies of a request that comes while it starts: few are made.
        self.tab.goto("about:blank")
        end = time.monotonic() + seconds
        while True:
            with contextlib.suppress(requests.RequestException):
                if done():
                    return Page(self.tab, self.webui, self.folder)
            assert time.monotonic() < end, "the webui did not come back"
            time.sleep(4)

    def generate(self, seed, wait=True):
        """Presses Generate; each job needs another seed, by which its answer is known."""
        self.number("#txt2img_seed", seed)
        self.at("#txt2img_generate").click()
        if wait:
            self.wait_for(seed)

    def wait_for(self, seed):
        expect(self.at("#html_info_txt2img")).to_contain_text(f"Seed: {seed},", timeout=60_000)
        expect(self.at("#txt2img_gallery img")).to_be_visible()

    @property
    def infotext(self):
        return self.at("#html_info_txt2img").inner_text()

    def images(self):
        """The pictures of the gallery, as the server holds them."""
        sources = self.tab.locator("#txt2img_gallery img").evaluate_all("images => images.map(image => image.src)")
        sources = list(dict.fromkeys(sources))
        return [Image.open(io.BytesIO(self.tab.request.get(source).body())) for source in sources]

    def paste(self, text):
        """Puts a text into the prompt and presses the paste button."""
        self.at("#txt2img_prompt textarea").fill(text)
        self.at("#paste").click()
        expect(self.at("#txt2img_prompt textarea")).to_have_value(text.split("\n")[0])

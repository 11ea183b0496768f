"""The cases in the page of the test host, in both forms of the script."""

import pytest

pytest.importorskip("playwright")

from playwright.sync_api import expect
from webui.page import Page
from webui.page_cases import *  # noqa: F403


def test_the_settings_page_changes_defaults_and_form(host, browser, tmp_path):
    page = Page(browser.new_page(), host.client, tmp_path)
    try:
        page.tab.locator("button", has_text="Settings").first.click()
        page.number("#setting_sonar_momentum", 0.8)
        page.tab.locator("#setting_sonar_form label", has_text="Accordion").click()
        page.shot("settings")
        page.at("#settings_submit").click()
        expect(page.at("#settings_result")).to_contain_text("sonar_momentum, sonar_form")
        host.reload()
        page = Page(page.tab, host.client, tmp_path)
        page.open_panel()
        assert page.value("momentum") == 0.8
        page.generate(seed=81)
        assert "Sonar momentum current: 0.8" in page.infotext
    finally:
        page.tab.close()
        host.reset()
        host.reload(sonar_form="Script dropdown")

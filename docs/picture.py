"""Takes the picture of README.rst and index.rst anew, from the running example.

With ``tox run -e demo`` in one window: ``.tox/browser/bin/python docs/picture.py http://localhost:8000`` in another.
"""

import base64
import json
import os
import sys
import urllib.request
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

PICTURE = Path(__file__).parent / "_static" / "pages.png"
PERSON = "ada@example.com"
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
FRAME = """
<style>
  body { margin: 0; padding: 32px; display: flex; gap: 28px; justify-content: center; background: #e8ebf0 }
  img { width: 390px; height: 720px; border-radius: 14px; box-shadow: 0 6px 24px #0003 }
</style>
"""


def pages(browser: Browser, site: str) -> list[bytes]:
    """The sign-in page, the page that waits, and the message, as a phone shows them."""
    phone = browser.new_context(viewport={"width": 390, "height": 720}, device_scale_factor=2, locale="en-US")
    page = phone.new_page()
    page.goto(f"{site}/login/")
    page.fill("[name=identifier]", PERSON)
    taken = [page.screenshot()]
    page.keyboard.press("Enter")
    page.wait_for_url("**/login/wait/**")
    page.wait_for_timeout(4000)  # by then the page has seen that the message was handed over
    taken.append(page.screenshot())
    message = phone.new_page()  # a page of its own: ours allow no inline style
    message.set_content(newest_message(site))
    return [*taken, message.screenshot()]


def newest_message(site: str) -> str:
    with urllib.request.urlopen(f"{site}/inbox/messages.json?to={PERSON}", timeout=10) as answer:
        return json.load(answer)["messages"][0]["html"]


def side_by_side(page: Page, pictures: list[bytes]) -> bytes:
    images = (f'<img src="data:image/png;base64,{base64.b64encode(picture).decode()}">' for picture in pictures)
    page.set_content(FRAME + "".join(images))
    return page.screenshot()


if __name__ == "__main__":
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=ARGUMENTS
        )
        wide = chromium.new_page(viewport={"width": 1300, "height": 800}, device_scale_factor=1.5)
        PICTURE.write_bytes(side_by_side(wide, pages(chromium, sys.argv[1].rstrip("/"))))

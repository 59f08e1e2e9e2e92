"""Pictures of everything that people see, where PASSWORDLESS_AUTH_SCREENSHOTS names a folder for them."""

import os
from pathlib import Path

from playwright.sync_api import Page

FOLDER = os.environ.get("PASSWORDLESS_AUTH_SCREENSHOTS")


def take(page: Page, name: str) -> None:
    if not FOLDER:
        return
    Path(FOLDER).mkdir(parents=True, exist_ok=True)
    page.screenshot(path=Path(FOLDER) / f"{name}.png", full_page=True, caret="initial")

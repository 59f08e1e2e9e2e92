"""The development inbox: keeps every message that the site sends, and shows it as a person would see it."""

"""The stories, step by step; the only callers of methods. No HTTP here."""

"""The past in the store: asked of vendors where it is missing, measured against the calendar, compared."""

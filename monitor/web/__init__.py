"""The HTTP side: health, metrics, the API and the page."""

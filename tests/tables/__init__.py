"""Tables that are measured on recorded prices and printed where users read them: `make january`, `make fired`."""

"""The picture that comes with an alert: what it watched, its threshold, when it crossed, and the rotation map."""

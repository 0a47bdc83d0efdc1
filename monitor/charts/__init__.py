"""Pictures: data to SVG text by pure functions (`lines`, `rotation_map`, `ranking`), and SVG to PNG (`png`).

Nothing is imported here: the process that makes PNGs starts quickly for it.
"""

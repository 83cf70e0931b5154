"""The image formats that are read, apart from what reads them: the parent process never loads an image library."""

from __future__ import annotations

FORMATS = {
    "image/png": "PNG",
    "image/jpeg": "JPEG",
    "image/gif": "GIF",
    "image/tiff": "TIFF",
    "image/webp": "WEBP",
    "image/bmp": "BMP",
}
"""Media type -> Pillow's name."""

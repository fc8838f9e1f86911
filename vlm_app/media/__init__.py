"""Opening what people upload, safely: upright RGB pixels, hashed, capped, without metadata.

Importing this package costs Pillow and the standard library, nothing else: the decode
worker imports it too, and is meant to start in a tenth of a second.
"""

from vlm_app.media.images import THUMBNAIL_TYPE, open_image, picture_from, png_bytes, thumbnail

__all__ = ["THUMBNAIL_TYPE", "open_image", "picture_from", "png_bytes", "thumbnail"]

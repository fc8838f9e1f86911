"""Reading text in images with an OCR engine that comes with a package: no download, no GPU."""

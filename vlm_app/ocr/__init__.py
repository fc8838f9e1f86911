"""Reading printed text with RapidOCR, whose networks come inside its package.

`networks` runs them, `page` makes a picture upright, flat and clear, `reader` reads it,
`layout` puts the lines into a text, `differences` compares two readings.
Importing any of it imports neither cv2 nor onnxruntime.
"""

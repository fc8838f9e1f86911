"""The app's entry, here and on a Space: `python app.py`."""

from vlm_app.ui import serve

if __name__ == "__main__":
    serve()

"""Examples to learn from: one schema, whatever they come from, and the datasets that hold them.

An example is one question about one or more pictures and the right answer to it. It belongs to no
family of models: it is written in a family's own words and coordinates only when one is trained.
As JSON, version 1:

    {
      "version": 1,
      "pictures": ["0199…", …],          the names of its pictures, in order: media ids in the database
      "task": "detect",                  as `vlm_app.types.Task`
      "query": "red circle",             what the task is about; for "chat" the question
      "text": "red circle",              the right answer in words, or null: see "rejected"
      "regions": [{"label": "red circle", "kind": "box", "box": [0.1, 0.2, 0.3, 0.4],
                   "image": 0, "span": [0, 10]}, …],
      "rejected": {"text": "blue circle", "regions": []},    a wrong answer to the same, or null
      "source": "edit",                  answer, edit, vote or upload
      "maker": "person",                 who gave the right answer: a model's id, or "person"
      "note": ""                         what else is known of it
    }

`regions` are in the form of `vlm_app.grounding.region_to_dict`: fractions (0..1) of the upright
picture that `image` counts from 0, x first; `span` is the region's phrase in `text`. Where only a
wrong answer is known (a thumb down without a correction), `text` is null and `rejected` holds it.
An empty `text` without regions is an answer too, where a task looks for things: nothing is there.
A version that is not known is refused; earlier turns of a chat are no part of version 1.
"""

from vlm_app.finetune.examples.datasets import Added, Dataset, Examples, Held
from vlm_app.finetune.examples.example import Example, Reply, Source
from vlm_app.finetune.examples.schema import SCHEMA_VERSION, digest, example_from_dict, example_to_dict

__all__ = [
    "SCHEMA_VERSION",
    "Added",
    "Dataset",
    "Example",
    "Examples",
    "Held",
    "Reply",
    "Source",
    "digest",
    "example_from_dict",
    "example_to_dict",
]

"""Read images from the command line: ``python -m ocrlib image.png``."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence

from ocrlib.checkpoints import PRETRAINED, TrainedModel, load_model
from ocrlib.evaluation import Text, read

FORMAT = "One line a file: its text and, in brackets, the confidence; with several files the name stands first."
STATUS = "Exit status: 0 if every image was read, 1 if one could not be read, 2 if the command was wrong."


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what stands in each file, and return the exit status. Messages go to standard error."""
    parser = argparse.ArgumentParser("python -m ocrlib", description=f"Print the text in images. {FORMAT}", epilog=STATUS)
    parser.add_argument("files", nargs="*", metavar="image", help="a PNG, JPEG, TIFF, WebP, GIF or BMP file of one text")
    parser.add_argument("--model", default=PRETRAINED, metavar="FILE",
                        help="a network that save_model wrote (default: the one that comes with ocrlib)")  # fmt: skip
    options = parser.parse_args(arguments)
    if not options.files or "-" in options.files:
        parser.print_help()
        return 2
    try:
        model = load_model(options.model)
    except (OSError, ValueError) as error:
        parser.error(str(error))  # ends the program with status 2
    status = 0
    for file in options.files:
        try:
            line = written(*read_one(file, model))
        except (OSError, ValueError, FloatingPointError) as error:
            print(error, file=sys.stderr)
            status = 1
        else:
            print(f"{file}: {line}" if len(options.files) > 1 else line, flush=True)
    return status


def read_one(file: str, model: TrainedModel) -> list[Text]:
    """The text in a file, in a list. What was converted is said on standard error. Raises as `ocrlib.read` does."""
    with warnings.catch_warnings(record=True) as remarks:
        warnings.simplefilter("always")
        found = read(file, model)
    for remark in remarks:
        print(f"note: {remark.message}", file=sys.stderr)
    return found


def written(found: Text) -> str:
    """What is printed for a reading, an empty one too."""
    return str(found) if found.text else f"no text ({found.confidence:.1%})"


if __name__ == "__main__":
    sys.exit(main())

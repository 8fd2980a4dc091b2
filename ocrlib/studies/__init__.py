"""The studies of notebooks 07 to 11: recorded runs, what they measure, and their figures. `python -m ocrlib.studies` records."""

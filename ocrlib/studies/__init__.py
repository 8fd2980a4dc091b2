"""The studies of notebooks 06 to 10: recorded runs, what they measure, and their figures. `python -m ocrlib.studies` records."""

"""Demonstrations: widgets for notebooks, and ONNX files for programs without torch."""

"""For showing and shipping: widgets for notebooks, ONNX files."""

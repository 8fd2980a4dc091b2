"""What notebook 05 teaches: CTC's alignments, decoding, a network's answers while it learns, and their figures."""

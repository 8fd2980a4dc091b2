"""CTC step by step, as in notebook 05: alignments, decoding, logits kept during training, and their figures."""

"""CTC step by step, as in notebooks 05 and 06: alignments, decoding, logits kept during training, and their figures."""

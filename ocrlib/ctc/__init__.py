"""CTC step by step, as in notebooks 05 and 06; reading with a pattern, words or a language model; places of symbols."""

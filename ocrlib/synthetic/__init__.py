"""Images made here: the generator of captchas, generated data sets, template matching, serial numbers."""

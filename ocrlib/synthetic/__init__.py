"""Images made here: the CAPTCHA generator, generated data sets, template matching, and labels with serial numbers."""

"""The public pages, made from published weeks alone."""

"""The public site, made from published weeks alone: charts, pages, composer, served dashboard."""

"""A desktop application that embeds the client: Tk, in the standard library."""

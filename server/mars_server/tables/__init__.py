"""From exact counts to floored tables of a week, for any channel. Pure."""

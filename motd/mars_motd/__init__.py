"""The publisher: writes news, signs it offline, rotates keys."""

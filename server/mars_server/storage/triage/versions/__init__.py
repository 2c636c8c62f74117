"""One step of these tables' history a module; never changed once released."""

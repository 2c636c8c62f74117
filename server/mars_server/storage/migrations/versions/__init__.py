"""One step of the tables' history a module; never changed once released."""

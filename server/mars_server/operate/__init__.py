"""What an operator looks at and decides: settings, status, doctor, retention."""

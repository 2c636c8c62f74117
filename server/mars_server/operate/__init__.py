"""What an operator looks at: status, doctor, which logs are settled."""

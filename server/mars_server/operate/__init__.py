"""What an operator looks at: status and what monitors get of it, doctor, which logs are settled."""

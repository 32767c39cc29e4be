"""What `check` looks at: facts read thinly, judged by pure rules."""

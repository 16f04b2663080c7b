"""What others would write or use for the same job; each is a program of its own."""

"""What the checker knows of each kind of object beside payments."""

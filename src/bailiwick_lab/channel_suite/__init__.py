"""What every channel must do, whoever made it: checked from its declarations and cases alone."""

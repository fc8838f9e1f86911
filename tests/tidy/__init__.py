"""What is written is bounded, tells nothing it should not, and goes when its owner wants it."""

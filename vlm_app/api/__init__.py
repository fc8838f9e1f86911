"""What the server answers beside the page: owner cookie, security headers, media routes."""

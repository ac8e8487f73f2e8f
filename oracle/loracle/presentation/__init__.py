"""What people see: the terminal's report and progress, listings, and files written whole."""

"""Many videos: which ones, what is done already, and processes that look at them. Knows no words."""

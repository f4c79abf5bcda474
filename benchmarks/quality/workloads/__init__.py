"""What the tables are recorded of; the heart's is heart.train itself."""

"""What the report is made of: answers, charts and lists, and the page around them."""

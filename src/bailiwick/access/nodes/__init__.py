"""What an access process knows of the nodes, and how it speaks to them."""

"""What `why` tells: from the signal to the order, from files alone."""

"""What providers sign by RSA, and seal: requests, answers, callbacks. Pure."""

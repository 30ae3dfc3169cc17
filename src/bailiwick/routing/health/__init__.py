"""How gateways do in real traffic: what outcomes say, counted in windows, judged by segment."""

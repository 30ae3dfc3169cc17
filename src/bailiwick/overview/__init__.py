"""The overview: the read side over all nodes, made of what their relays sent and nothing else.

Its database can be lost: it is filled again from the nodes' outboxes. No payment waits for it.
"""

"""Webhook endpoints: where a merchant wants to be told of events."""

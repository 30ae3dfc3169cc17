"""Which gateways payments go to, as data: ``routing.toml`` of an epoch, read, checked, compiled."""

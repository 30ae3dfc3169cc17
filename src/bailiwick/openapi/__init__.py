"""The API's description of itself: OpenAPI 3.1, made from what the resources declare.

``requests``: which struct a request is read into, and its schema; ``answers``: the shapes of what
is answered, and with which statuses; ``document``: the whole. Nothing of a resource is named here.
"""

"""What a node shows to providers on a listener of its own: callbacks and whether it lives; and to
payers, where they come back.

Where the node's own listener asks for client certificates, neither can come there. Providers prove
themselves by signature, and what payers bring goes to the provider; there is no API key, usage
state or metric here, and no word about what is wrong.
"""

from typing import Any

import falcon.asgi

from bailiwick.node import returns
from bailiwick.node.app import Callback, install_database_errors
from bailiwick.node.operations import Operations
from bailiwick.node.service import Node
from bailiwick.wire.answers import install_errors


def build_public(node: Node) -> falcon.asgi.App[Any, Any]:
    """The application of ``callback_listen``."""
    app = falcon.asgi.App()
    install_errors(app)
    install_database_errors(app)
    operations = Operations(node)
    app.add_route("/v1/callbacks/{gateway}", Callback(node))
    app.add_route(returns.ROUTE, returns.Returns(node))
    app.add_route("/healthz", operations, suffix="health")
    app.add_route("/readyz", operations, suffix="ready_or_not")
    return app

"""Files: what merchants upload as evidence, kept at the node of the dispute that they are for."""

from bailiwick.interlink.resource import ById, Merged, Path, Refused, Resource, Uploaded
from bailiwick.resources.files.media import BODY_BYTES_MAX, FILE_BYTES_MAX

_ONE = "/v1/files/{identifier}"
_NO_LINKS = Refused(
    "There are no links that open files to everybody: read /v1/files/{id}/contents with your "
    "secret key, and pass on what it gives."
)

RESOURCE = Resource(
    object="file",
    prefix="file",
    path="/v1/files",
    table="record",
    paths=(
        Path("/v1/files", {"POST": Uploaded({"dispute": "du"}, BODY_BYTES_MAX), "GET": Merged()}),
        Path(_ONE, {"GET": ById("file", "file")}),
        Path(f"{_ONE}/contents", {"GET": ById("file", "file", FILE_BYTES_MAX)}),
        Path("/v1/file_links", {"GET": _NO_LINKS, "POST": _NO_LINKS}),
        Path("/v1/file_links/{identifier}", {"GET": _NO_LINKS, "POST": _NO_LINKS}),
    ),
)

"""Files that go to a provider with an operation. Pure."""

import msgspec


class Document(msgspec.Struct, frozen=True, omit_defaults=True):
    """A file by our id of it. All else is read before a request is built, and stored nowhere with
    the instruction.

    Attributes:
        media: its media type. content: as it is, in bytes.
    """

    id: str
    name: str = ""
    media: str = ""
    content: bytes = b""

    def __repr__(self) -> str:
        return f"Document({self.id}, {len(self.content)} bytes)"

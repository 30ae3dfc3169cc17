"""What files may be: their sizes, and the types that are known by how a file begins. Pure.

Sizes and types are those of Stripe for evidence: https://docs.stripe.com/file-upload.
"""

from bailiwick.base.errors import ApiError

FILE_BYTES_MAX = 5 * 1024 * 1024
BODY_BYTES_MAX = FILE_BYTES_MAX + 64 * 1024
"""Of a request that brings a file: with the parameters beside it."""
EVIDENCE_BYTES_MAX = 4_718_592
"""Of all files of a dispute's evidence together: 4.5 MB."""
FILENAME_CHARS_MAX = 255
NAMES = {"pdf": "application/pdf", "jpg": "image/jpeg", "png": "image/png"}
"""Media types by the words of the API."""
_BEGINS = {"pdf": b"%PDF-", "jpg": b"\xff\xd8\xff", "png": b"\x89PNG\r\n\x1a\n"}
_ENDINGS = {"pdf": "pdf", "jpg": "jpg", "jpeg": "jpg", "png": "png"}
_SAID = {
    **{media: word for word, media in NAMES.items()},
    "image/jpg": "jpg",
    "application/x-pdf": "pdf",
}


def type_of(content: bytes, filename: str, media: str) -> str:
    """The type of a file by what is in it; what its name or its sender say must not contradict.

    Raises:
        ApiError: 400, it is empty, too large, of another type, or of another than it is said to be.
    """
    if not content:
        raise _refused("This file is empty.", "file_empty")
    if len(content) > FILE_BYTES_MAX:
        raise _refused(
            f"This file has {len(content)} bytes; at most {FILE_BYTES_MAX} are taken: compress it.",
            "file_too_large",
        )
    found = next((word for word, begin in _BEGINS.items() if content.startswith(begin)), None)
    if found is None:
        raise _refused(
            "By how it begins this file is no PDF, JPEG or PNG.", "file_type_unsupported"
        )
    ending = _ENDINGS.get(filename.rpartition(".")[2].lower()) if "." in filename else None
    for where, said in (("name", ending), ("Content-Type", _SAID.get(media))):
        if said not in (None, found):
            raise _refused(
                f"By how it begins this file is {found}, and by its {where} {said}: correct that.",
                "file_type_mismatch",
            )
    return found


def name_of(filename: str) -> str:
    """A file's name without the folders that it had at its sender."""
    last = filename.replace("\\", "/").rpartition("/")[2]
    return last[-FILENAME_CHARS_MAX:]


def _refused(message: str, code: str) -> ApiError:
    return ApiError.invalid(message, param="file", code=code)

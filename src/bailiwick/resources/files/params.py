"""What requests about files may carry: one struct per route, checked at the edge.

Names and meanings follow https://docs.stripe.com/api/files; ``dispute`` and ``location`` are ours.
"""

from typing import ClassVar, Literal

import msgspec

from bailiwick.jurisdiction.locate import Evidence
from bailiwick.serving.params import Expand, ListQuery, LongText, Text

Purpose = Literal[
    "account_requirement",
    "additional_verification",
    "business_icon",
    "business_logo",
    "customer_signature",
    "dispute_evidence",
    "document_provider_identity_document",
    "finance_report_run",
    "financial_account_statement",
    "identity_document",
    "identity_document_downloadable",
    "issuing_regulatory_reporting",
    "pci_document",
    "platform_terms_of_service",
    "selfie",
    "sigma_scheduled_query",
    "tax_document_user_upload",
    "terminal_android_apk",
    "terminal_reader_splashscreen",
    "terminal_wifi_certificate",
    "terminal_wifi_private_key",
]


class CreateFile(msgspec.Struct, frozen=True, kw_only=True):
    """POST /v1/files; ``dispute``: what it is for, and so where it is kept. ``file`` is a part of
    the body, and stands here by its name."""

    FILES: ClassVar = ("file",)
    UNDONE: ClassVar = {
        "file_link_data": "no file is opened to everybody: read /v1/files/{id}/contents",
    }

    file: LongText
    purpose: Literal["dispute_evidence"]
    dispute: Text | None = None
    location: Evidence | None = None
    expand: Expand = []


class ListFiles(ListQuery, frozen=True):
    """GET /v1/files"""

    purpose: Purpose | None = None

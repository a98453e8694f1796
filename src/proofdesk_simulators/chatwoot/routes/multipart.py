"""Multipart forms, parsed with the mail parser of the standard library."""

from dataclasses import dataclass
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser

from proofdesk_simulators.chatwoot.records import Attributes


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """One uploaded file."""

    field: str
    filename: str
    content_type: str
    data: bytes


def parse(content_type: str, raw: bytes) -> tuple[Attributes, list[UploadedFile]]:
    """Return the text fields and the files of a form."""
    head = f"MIME-Version: 1.0\r\nContent-Type: {content_type}\r\n\r\n".encode()
    form = BytesParser(policy=policy.HTTP).parsebytes(head + raw)
    fields: Attributes = {}
    files: list[UploadedFile] = []
    for part in form.iter_parts() if isinstance(form, EmailMessage) else ():
        name = str(part.get_param("name", header="content-disposition"))
        payload = part.get_payload(decode=True)
        data = payload if isinstance(payload, bytes) else b""
        filename = part.get_filename()
        if filename is None:
            fields[name] = data.decode("utf-8", "replace")
        else:
            files.append(UploadedFile(name, filename, part.get_content_type(), data))
    return fields, files

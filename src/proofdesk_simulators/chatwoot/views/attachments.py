"""Attachments: one form for stored files, one for locations."""

from urllib.parse import quote

from proofdesk_simulators.chatwoot.records import Attachment, Attributes


def attachment(row: Attachment, message_id: int, account_id: int, public_url: str) -> Attributes:
    """Return the view of an attachment. Links of stored files start with `public_url`."""
    view: Attributes = {
        "id": row.id,
        "message_id": message_id,
        "file_type": row.file_type,
        "account_id": account_id,
    }
    if row.place is not None:
        return view | row.place
    return view | _stored_file(row, public_url)


def _stored_file(row: Attachment, public_url: str) -> Attributes:
    name = quote(row.filename)
    link = row.url or f"{public_url}/rails/active_storage/blobs/redirect/b{row.id}/{name}"
    thumb = f"{public_url}/rails/active_storage/representations/redirect/b{row.id}/variation-250/{name}"
    file: Attributes = {
        "extension": row.filename.rpartition(".")[2] or None,
        "content_type": row.content_type,
        "data_url": link + "?disposition=inline" if row.file_type == "audio" else link,
        "thumb_url": thumb if row.file_type == "image" else "",
        "file_size": row.file_size,
        "width": row.width,
        "height": row.height,
    }
    return file | {"transcribed_text": row.transcribed_text} if row.file_type == "audio" else file

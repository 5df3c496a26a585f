"""An image in a span's input: the SDK uploads it and leaves a token."""

import base64
import json

from langfuse import get_client
from langfuse.media import LangfuseMedia

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
langfuse = get_client()
make = langfuse.start_span if hasattr(langfuse, "start_span") else langfuse.start_observation
span = make(name="look", input={"image": LangfuseMedia(content_bytes=PIXEL, content_type="image/png")})
span.end()
langfuse.flush()
media = LangfuseMedia(content_bytes=PIXEL, content_type="image/png")
media_id = getattr(media, "_media_id", None) or media._get_media_id()
found = langfuse.api.media.get(media_id)
print(
    json.dumps(
        {
            "trace_id": span.trace_id, "span_id": span.id, "media_id": found.media_id, "url": found.url,
            "length": found.content_length, "type": str(found.content_type),
        }
    )
)  # fmt: skip

"""What kind of thing lies behind an address, as its end tells it: nothing is fetched, no system table is read."""

_MEDIA_TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "heic": "image/heic",
    "heif": "image/heif",
    "gif": "image/gif",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "html": "text/html",
    "css": "text/css",
    "csv": "text/csv",
    "xml": "text/xml",
    "rtf": "text/rtf",
    "json": "application/json",
    "wav": "audio/wav",
    "mp3": "audio/mp3",
    "aiff": "audio/aiff",
    "aac": "audio/aac",
    "ogg": "audio/ogg",
    "flac": "audio/flac",
    "mp4": "video/mp4",
    "mpeg": "video/mpeg",
    "mpg": "video/mpg",
    "mov": "video/mov",
    "avi": "video/avi",
    "flv": "video/x-flv",
    "webm": "video/webm",
    "wmv": "video/wmv",
    "3gp": "video/3gpp",
}
"""The names that Google's API has for what it takes (ai.google.dev, image, document, audio and video understanding,
2026-10). Python's `mimetypes` would read the machine's own tables at the first call, and names some otherwise."""


def media_type_of(url: str) -> str | None:
    """The media type that the end of a URL's path tells, or None. Takes any text: callers write it."""
    path = url.partition("#")[0].partition("?")[0].partition("://")[2]
    folder, slash, name = path.rpartition("/")
    ending = name.rpartition(".")[2] if slash and folder and "." in name else ""
    return _MEDIA_TYPES.get(ending.lower())

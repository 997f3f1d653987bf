"""Files, uploads and vector stores (OpenAI API reference, 2026-11)."""

import hashlib
from typing import Literal

import msgspec

from headworks.simulator.chance import identifier
from headworks.simulator.decoding import decoded
from headworks.simulator.media import read_upload
from headworks.simulator.projects import File, Upload, Value, VectorStore, answered, deleted, listed, query_of
from headworks.simulator.provider import Provider, Visit
from headworks.simulator.rejection import Rejection, invalid_value, missing
from headworks.simulator.script import Script, plain

_PURPOSES = ("assistants", "batch", "fine-tune", "vision", "user_data", "evals")
_PART_BYTES = 64 * 1024 * 1024
_UPLOAD_S = 3600
"""An upload that is not completed within an hour expires."""

_PIECE = 200
"""Characters of a piece of text that a search finds."""

Purpose = Literal["assistants", "batch", "fine-tune", "vision", "user_data", "evals"]


def create_file(provider: Provider, visit: Visit) -> Script:
    """POST /v1/files"""
    form = read_upload(visit.request.headers.get(b"content-type", b""), visit.request.body)
    purpose = form.fields.get("purpose", "")
    if not purpose:
        raise missing("purpose")
    if purpose not in _PURPOSES:
        raise invalid_value("purpose", f"'{purpose}' is not one of {list(_PURPOSES)} - 'purpose'")
    return answered(add_file(provider, visit, form.filename, purpose, form.file).value)


def add_file(provider: Provider, visit: Visit, name: str, purpose: str, content: bytes, part: bytes = b"") -> File:
    """Keep a file of the project; `part` tells several of one visit apart."""
    file_id = identifier("file-", provider.plan.seed, "file", visit.unique, part)
    value: Value = {
        "id": file_id,
        "object": "file",
        "bytes": len(content),
        "created_at": int(visit.now),
        "expires_at": None,
        "filename": name,
        "purpose": purpose,
        "status": "processed",
        "status_details": None,
    }
    file = File(value, content)
    provider.project.files.add(file_id, file)
    return file


def list_files(provider: Provider, visit: Visit) -> Script:
    """GET /v1/files"""
    query = query_of(visit.request.query)
    values = [file.value for file in provider.project.files.all()]
    return listed(values, visit.request.query, wanted={"purpose": query.get("purpose", "")})


def retrieve_file(provider: Provider, _: Visit, file_id: str) -> Script:
    """GET /v1/files/{id}"""
    return answered(provider.project.files.get(file_id).value)


def read_file(provider: Provider, _: Visit, file_id: str) -> Script:
    """GET /v1/files/{id}/content"""
    file = provider.project.files.get(file_id)
    name = str(file.value["filename"]).encode("ascii", "replace").replace(b'"', b"_")
    headers = {b"content-disposition": b'attachment; filename="%b"' % name}
    return plain(200, file.content, content_type=b"application/octet-stream", headers=headers)


def delete_file(provider: Provider, _: Visit, file_id: str) -> Script:
    """DELETE /v1/files/{id}"""
    provider.project.files.remove(file_id)
    return deleted(file_id, "file")


class _UploadBody(msgspec.Struct):
    bytes: int
    filename: str
    mime_type: str
    purpose: Purpose


class _CompleteBody(msgspec.Struct):
    part_ids: list[str]
    md5: str | None = None


def create_upload(provider: Provider, visit: Visit) -> Script:
    """POST /v1/uploads"""
    body = decoded(visit.request.body, _UploadBody)
    upload_id = identifier("upload_", provider.plan.seed, "upload", visit.unique)
    value: Value = {
        "id": upload_id,
        "object": "upload",
        "bytes": body.bytes,
        "created_at": int(visit.now),
        "expires_at": int(visit.now) + _UPLOAD_S,
        "filename": body.filename,
        "purpose": body.purpose,
        "status": "pending",
        "file": None,
    }
    provider.project.uploads.add(upload_id, Upload(value, {}))
    return answered(value)


def add_part(provider: Provider, visit: Visit, upload_id: str) -> Script:
    """POST /v1/uploads/{id}/parts"""
    upload = _pending(provider, upload_id)
    content_type = visit.request.headers.get(b"content-type", b"")
    data = read_upload(content_type, visit.request.body).file
    if len(data) > _PART_BYTES:
        raise Rejection(400, f"Part exceeds the maximum size of {_PART_BYTES} bytes.", param="data")
    part_id = identifier("part_", provider.plan.seed, "part", visit.unique)
    upload.parts[part_id] = data
    return answered({"id": part_id, "object": "upload.part", "created_at": int(visit.now), "upload_id": upload_id})


def complete_upload(provider: Provider, visit: Visit, upload_id: str) -> Script:
    """POST /v1/uploads/{id}/complete"""
    upload = _pending(provider, upload_id)
    body = decoded(visit.request.body, _CompleteBody)
    unknown = [part_id for part_id in body.part_ids if part_id not in upload.parts]
    if unknown:
        raise Rejection(400, f"Part '{unknown[0]}' not found.", param="part_ids")
    content = b"".join(upload.parts[part_id] for part_id in body.part_ids)
    if len(content) != upload.value["bytes"]:
        message = f"Expected {upload.value['bytes']} bytes but got {len(content)}."
        raise Rejection(400, message, param="part_ids")
    if body.md5 and hashlib.md5(content, usedforsecurity=False).hexdigest() != body.md5:
        raise Rejection(400, "The md5 checksum does not match.", param="md5")
    name, purpose = str(upload.value["filename"]), str(upload.value["purpose"])
    file = add_file(provider, visit, name, purpose, content)
    upload.value |= {"status": "completed", "file": file.value}
    return answered(upload.value)


def cancel_upload(provider: Provider, _: Visit, upload_id: str) -> Script:
    """POST /v1/uploads/{id}/cancel"""
    upload = _pending(provider, upload_id)
    upload.value["status"] = "cancelled"
    upload.parts.clear()
    return answered(upload.value)


def _pending(provider: Provider, upload_id: str) -> Upload:
    upload = provider.project.uploads.get(upload_id)
    if upload.value["status"] != "pending":
        raise Rejection(400, f"Upload {upload_id} is {upload.value['status']}.", param="upload_id")
    return upload


# -- vector stores ---------------------------------------------------------------------------------------------------


class _StoreBody(msgspec.Struct):
    name: str | None = None
    file_ids: list[str] = []
    metadata: dict[str, str] | None = None


class _StoreFileBody(msgspec.Struct):
    file_id: str
    attributes: dict[str, str | float | bool] | None = None


class _AttributesBody(msgspec.Struct):
    attributes: dict[str, str | float | bool] | None = None


class _FilesBody(msgspec.Struct):
    file_ids: list[str] = []
    files: list[_StoreFileBody] = []


class _SearchBody(msgspec.Struct):
    query: str | list[str]
    max_num_results: int = 10


def create_store(provider: Provider, visit: Visit) -> Script:
    """POST /v1/vector_stores"""
    body = decoded(visit.request.body, _StoreBody)
    store_id = identifier("vs_", provider.plan.seed, "store", visit.unique)
    value: Value = {
        "id": store_id,
        "object": "vector_store",
        "created_at": int(visit.now),
        "name": body.name or "",
        "usage_bytes": 0,
        "file_counts": {},
        "status": "completed",
        "expires_after": None,
        "expires_at": None,
        "last_active_at": int(visit.now),
        "metadata": body.metadata or {},
    }
    store = VectorStore(value, {}, {})
    for file_id in body.file_ids:
        _put(provider, visit, store, file_id, None)
    provider.project.stores.add(store_id, store)
    return answered(_counted(store))


def list_stores(provider: Provider, visit: Visit) -> Script:
    """GET /v1/vector_stores"""
    return listed([_counted(store) for store in provider.project.stores.all()], visit.request.query)


def retrieve_store(provider: Provider, _: Visit, store_id: str) -> Script:
    """GET /v1/vector_stores/{id}"""
    return answered(_counted(provider.project.stores.get(store_id)))


def modify_store(provider: Provider, visit: Visit, store_id: str) -> Script:
    """POST /v1/vector_stores/{id}"""
    store = provider.project.stores.get(store_id)
    body = decoded(visit.request.body, _StoreBody)
    store.value["name"] = body.name if body.name is not None else store.value["name"]
    store.value["metadata"] = body.metadata if body.metadata is not None else store.value["metadata"]
    return answered(_counted(store))


def delete_store(provider: Provider, _: Visit, store_id: str) -> Script:
    """DELETE /v1/vector_stores/{id}"""
    provider.project.stores.remove(store_id)
    return deleted(store_id, "vector_store.deleted")


def search_store(provider: Provider, visit: Visit, store_id: str) -> Script:
    """POST /v1/vector_stores/{id}/search: pieces of text that share words with the query."""
    store = provider.project.stores.get(store_id)
    body = decoded(visit.request.body, _SearchBody)
    queries = [body.query] if isinstance(body.query, str) else body.query
    words = {word for query in queries for word in query.lower().split()}
    found = []
    for file_id, kept in store.files.items():
        file = provider.project.files.get(file_id)
        text = file.content.decode("utf-8", "replace")
        for start in range(0, len(text), _PIECE):
            piece = text[start : start + _PIECE]
            score = len(words & set(piece.lower().split())) / max(1, len(words))
            if score:
                found.append(
                    {
                        "file_id": file_id,
                        "filename": file.value["filename"],
                        "score": round(score, 4),
                        "attributes": kept["attributes"],
                        "content": [{"type": "text", "text": piece}],
                    }
                )
    found.sort(key=lambda one: -float(str(one["score"])))
    return answered(
        {
            "object": "vector_store.search_results.page",
            "search_query": queries,
            "data": found[: body.max_num_results],
            "has_more": False,
            "next_page": None,
        }
    )


def store_files(provider: Provider, visit: Visit, store_id: str) -> Script:
    """GET and POST /v1/vector_stores/{id}/files"""
    store = provider.project.stores.get(store_id)
    if visit.request.method == "GET":
        return listed(list(store.files.values()), visit.request.query)
    body = decoded(visit.request.body, _StoreFileBody)
    return answered(_put(provider, visit, store, body.file_id, body.attributes))


def store_file(provider: Provider, visit: Visit, store_id: str, file_id: str) -> Script:
    """GET, POST and DELETE /v1/vector_stores/{id}/files/{id}"""
    store = provider.project.stores.get(store_id)
    value = store.files.get(file_id)
    if value is None:
        raise Rejection(404, f"No file found with id '{file_id}' in vector store '{store_id}'.")
    if visit.request.method == "DELETE":
        del store.files[file_id]
        return deleted(file_id, "vector_store.file.deleted")
    if visit.request.method == "POST":
        value["attributes"] = decoded(visit.request.body, _AttributesBody).attributes or {}
    return answered(value)


def store_file_content(provider: Provider, visit: Visit, store_id: str, file_id: str) -> Script:
    """GET /v1/vector_stores/{id}/files/{id}/content"""
    store_file(provider, visit, store_id, file_id)
    text = provider.project.files.get(file_id).content.decode("utf-8", "replace")
    page = {"object": "vector_store.file_content.page", "has_more": False, "next_page": None}
    return answered({**page, "data": [{"type": "text", "text": text}]})


def create_file_batch(provider: Provider, visit: Visit, store_id: str) -> Script:
    """POST /v1/vector_stores/{id}/file_batches"""
    store = provider.project.stores.get(store_id)
    body = decoded(visit.request.body, _FilesBody)
    wanted = [(file_id, None) for file_id in body.file_ids] + [(one.file_id, one.attributes) for one in body.files]
    for file_id, attributes in wanted:
        _put(provider, visit, store, file_id, attributes)
    batch_id = identifier("vsfb_", provider.plan.seed, "file batch", visit.unique)
    store.batches[batch_id] = {
        "id": batch_id,
        "object": "vector_store.files_batch",
        "created_at": int(visit.now),
        "vector_store_id": store_id,
        "status": "completed",
        "file_counts": _counts(len(wanted)),
    }
    return answered(store.batches[batch_id])


def file_batch(provider: Provider, visit: Visit, store_id: str, batch_id: str, action: str) -> Script:
    """GET /v1/vector_stores/{id}/file_batches/{id}, POST …/cancel, GET …/files"""
    store = provider.project.stores.get(store_id)
    value = store.batches.get(batch_id)
    if value is None:
        raise Rejection(404, f"No file batch found with id '{batch_id}'.")
    if action == "files":
        return listed(list(store.files.values()), visit.request.query)
    return answered(value)


def _put(
    provider: Provider, visit: Visit, store: VectorStore, file_id: str, attributes: dict[str, str | float | bool] | None
) -> Value:
    file = provider.project.files.get(file_id)
    value: Value = {
        "id": file_id,
        "object": "vector_store.file",
        "usage_bytes": file.value["bytes"],
        "created_at": int(visit.now),
        "vector_store_id": store.value["id"],
        "status": "completed",
        "last_error": None,
        "attributes": attributes or {},
    }
    store.files[file_id] = value
    return value


def _counted(store: VectorStore) -> Value:
    used = sum(int(str(value["usage_bytes"])) for value in store.files.values())
    return {**store.value, "usage_bytes": used, "file_counts": _counts(len(store.files))}


def _counts(completed: int) -> Value:
    return {"in_progress": 0, "completed": completed, "failed": 0, "cancelled": 0, "total": completed}

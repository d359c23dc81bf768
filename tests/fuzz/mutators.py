"""Changes of files that keep their checksums and lengths right, so that what lies behind those is reached."""

import io
import random
import struct
import warnings
import zipfile
import zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def behind_a_byte(mutate):
    """The same for cases whose first byte is no part of the file."""

    def whole(data, change, rng):
        first = data[:1] if rng.random() < 0.8 else bytes([rng.randrange(256)])
        return first + mutate(data[1:], change, rng)

    return whole


# ---- zip --------------------------------------------------------------------------------------------------------


def zip_file(data, change, rng):
    """A member changed, renamed, repeated, lost or packed; or any bytes, where it is no archive."""
    entries = members(data)
    if not entries or rng.random() < 0.1:
        return change(data)
    at = rng.randrange(len(entries))
    name, content, method = entries[at]
    action = rng.random()
    if action < 0.8:
        entries[at] = (name, change(content), method)
    elif action < 0.88:
        entries[at] = (change(name.encode()).decode("utf-8", "replace")[:200] or "x", content, method)
    elif action < 0.92:
        entries.insert(rng.randrange(len(entries) + 1), entries[at])
    elif action < 0.96:
        entries.pop(at)
    else:
        entries[at] = (name, content, rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA)))
    return zipped(entries)


def zipped(entries):
    """An archive of (name, content, method)."""
    stream = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(stream, "w") as archive:
        warnings.simplefilter("ignore")  # of names twice
        for name, content, method in entries:
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return stream.getvalue()


def members(data):
    """Those of an archive, as (name, content, method); none where it is broken, and is changed as bytes."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return [(e.filename, archive.read(e), e.compress_type) for e in archive.infolist() if e.file_size < 2**20]
    except Exception:
        return []


# ---- PNG --------------------------------------------------------------------------------------------------------


def png(data, change, rng):
    """A chunk changed, or the rows it packs; any bytes, where it is no PNG."""
    chunks = _chunks(data)
    if not chunks or rng.random() < 0.1:
        return change(data)
    at = rng.randrange(len(chunks))
    kind, content = chunks[at]
    action = rng.random()
    if action < 0.6:
        chunks[at] = (kind, _rows_changed(content, change) if kind == b"IDAT" else change(content))
    elif action < 0.75:
        chunks[at] = (rng.choice((b"tRNS", b"PLTE", b"zTXt", b"eXIf", b"acTL", b"iCCP", b"IHDR", b"fdAT")), content)
    elif action < 0.85:
        chunks.insert(rng.randrange(len(chunks) + 1), chunks[at])
    else:
        chunks.pop(at)
    packed = (struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in chunks)
    return SIGNATURE + b"".join(packed)


def _rows_changed(content, change):
    try:
        rows = zlib.decompressobj().decompress(content, 2**20)
    except zlib.error:
        return change(content)
    return zlib.compress(change(rows), 1)


def _chunks(data):
    chunks, at = [], len(SIGNATURE)
    while data.startswith(SIGNATURE) and at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    return chunks


# ---- protobuf ---------------------------------------------------------------------------------------------------


def protobuf(data, change, rng, depth=0):
    """A field changed, repeated or lost, at any depth, with the lengths around it."""
    fields = _fields(data)
    if not fields or rng.random() < 0.1:
        return change(data)
    at = rng.randrange(len(fields))
    key, content = fields[at]
    if key & 7 == 2 and depth < 4 and rng.random() < 0.7:
        fields[at] = (key, protobuf(content, change, rng, depth + 1))
    else:
        action = rng.randrange(4)
        if action == 0:
            fields.insert(rng.randrange(len(fields) + 1), (key, content))
        elif action == 1:
            fields.pop(at)
        elif action == 2:
            fields[at] = (rng.choice((1, 2, 3, 4, 5, 6, 7, 8, 100)) << 3 | key & 7, content)
        else:
            fields[at] = (key, change(content))
    return b"".join(varint(k) + (varint(len(c)) if k & 7 == 2 else b"") + c for k, c in fields)


def _fields(data):
    """(key, bytes) of a message; none where it is no message."""
    fields, at = [], 0
    try:
        while at < len(data):
            key, at = _number(data, at)
            if key & 7 == 2:
                length, at = _number(data, at)
            else:
                length = {0: _number(data, at)[1] - at, 1: 8, 5: 4}[key & 7]
            if at + length > len(data):
                return []
            fields.append((key, data[at : at + length]))
            at += length
    except (IndexError, KeyError):
        return []
    return fields


def _number(data, at):
    value = shift = 0
    while data[at] >= 0x80:
        value |= (data[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
    return value | data[at] << shift, at + 1


def varint(value):
    parts = bytearray()
    while value >= 0x80:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def generator(seed):
    """What makes the choices of a mutation, the same for the same seed."""
    return random.Random(seed)

"""Give an Ogg stream a fixed serial number: libsndfile draws one at random for every file."""

import struct

_POLYNOMIAL = 0x04C11DB7
_SERIAL = slice(14, 18)
_CHECKSUM = slice(22, 26)
_HEADER = 27


def with_serial(stream: bytes, serial: int) -> bytes:
    """The same single-stream Ogg file under `serial`, page checksums renewed (RFC 3533, 6)."""
    pages, start = [], 0
    while start < len(stream):
        lengths_end = start + _HEADER + stream[start + 26]
        end = lengths_end + sum(stream[start + _HEADER : lengths_end])
        page = bytearray(stream[start:end])
        page[_SERIAL] = struct.pack("<I", serial)
        page[_CHECKSUM] = bytes(4)
        page[_CHECKSUM] = struct.pack("<I", _checksum(page))
        pages.append(bytes(page))
        start = end
    return b"".join(pages)


def _table_entry(value: int) -> int:
    value <<= 24
    for _ in range(8):
        value = (value << 1) ^ (_POLYNOMIAL if value & 0x80000000 else 0)
    return value & 0xFFFFFFFF


_TABLE = tuple(_table_entry(value) for value in range(256))


def _checksum(page: bytearray) -> int:
    """CRC-32 as Ogg has it: not reflected, starting at zero."""
    crc = 0
    for byte in page:
        crc = ((crc << 8) & 0xFFFFFFFF) ^ _TABLE[(crc >> 24) ^ byte]
    return crc

"""Image files that are small and claim to be huge, or that are not what their names say.

Each was tried against `read_image`; the comments say what it did before there were limits.
"""

import io
import struct
import zlib

import numpy as np
from PIL import Image


def encode(image, kind, **options):
    data = io.BytesIO()
    image.save(data, kind, **options)
    return data.getvalue()


def claiming_jpeg(side, mode="RGB", **options):
    """A JPEG of 8x8 pixels whose header says side x side; decoders fill up what is missing."""
    data = bytearray(encode(Image.new(mode, (8, 8)), "JPEG", **options))
    position = 2
    while data[position + 1] not in (0xC0, 0xC1, 0xC2):
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    data[position + 5 : position + 9] = struct.pack(">HH", side, side)
    return bytes(data)


def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, depth=8, color=2, rows=0, chunks=()):
    """A PNG with a header of any size, `rows` rows of zeros, and chunks before them."""
    samples = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color]
    pixels = bytes((width * samples * depth // 8 + 1) * rows)
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    body = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(pixels)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in body)


def zero_bytes_compressed(megabytes):
    """What zlib makes of so many zeros; after a full flush each megabyte compresses alike."""
    compressor = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    megabyte = compressor.compress(bytes(1 << 20)) + compressor.flush(zlib.Z_FULL_FLUSH)
    adler32 = (megabytes << 20) % 65_521 << 16 | 1
    return b"\x78\xda" + megabyte * megabytes + compressor.flush() + struct.pack(">I", adler32)


def tiff(tags):
    """A little-endian TIFF of these tags, {number: (type, values)}; data of zeros behind them."""
    formats = {1: "B", 3: "H", 4: "I"}
    entries, values = b"", b""
    start = 8 + 2 + 12 * len(tags) + 4
    for tag, (kind, numbers) in sorted(tags.items()):
        data = struct.pack(f"<{len(numbers)}{formats[kind]}", *numbers)
        entry = struct.pack("<HHI", tag, kind, len(numbers))
        if len(data) <= 4:
            entries += entry + data.ljust(4, b"\0")
        else:
            entries += entry + struct.pack("<I", start + len(values))
            values += data
    directory = struct.pack("<H", len(tags)) + entries + bytes(4)
    return b"II*\0" + struct.pack("<I", 8) + directory + values + bytes(64)


def gray_tiff(width, height, **changed):
    tags = {256: (4, [width]), 257: (4, [height]), 258: (3, [8]), 259: (3, [1]), 262: (3, [1]),
            273: (4, [200]), 277: (3, [1]), 278: (4, [height]), 279: (4, [64])}  # fmt: skip
    return tiff(tags | {int(tag[1:]): value for tag, value in changed.items()})


def tiled_tiff(side, tile):
    """A deflated TIFF of side x side whose single tile says that it is tile x tile."""
    tags = {256: [side], 257: [side], 258: [8], 259: [8], 262: [1], 277: [1]}
    tags |= {322: [tile], 323: [tile], 324: [200], 325: [64]}
    return tiff({tag: (4, values) for tag, values in tags.items()})


def overlapping_tags():
    """A TIFF whose 5,000 tags all have the same 2 MB for their value: 10 GB, were they read."""
    value = bytes(2_000_000)
    count = 5_000
    entries = b"".join(
        struct.pack("<HHII", 40_000 + n, 1, len(value), 8 + 2 + 12 * count + 4)
        for n in range(count)
    )
    return b"II*\0" + struct.pack("<IH", 8, count) + entries + bytes(4) + value


def gif(screen, frames=1):
    """A GIF whose screen is screen x screen, with 1x1 frames that each dispose of all of it."""
    begin = b"GIF89a" + struct.pack("<HH", screen, screen) + b"\x80\0\0" + bytes(3) + b"\xff" * 3
    control = b"!\xf9\x04\x08\0\0\0\0"
    frame = b"," + struct.pack("<HHHH", 0, 0, 1, 1) + b"\0" + b"\x02\x02\x44\x01\0"
    return begin + (control + frame) * frames + b";"


def wide_frame_gif():
    """A 1x1 GIF whose first frame is 65,535 pixels wide and high."""
    begin = b"GIF89a" + struct.pack("<HH", 1, 1) + b"\x80\0\0" + bytes(3) + b"\xff" * 3
    frame = b"," + struct.pack("<HHHH", 0, 0, 65_535, 65_535) + b"\0" + b"\x02\x02\x44\x01\0"
    return begin + b"!\xf9\x04\x08\0\0\0\0" + frame + b";"


def webp(side):
    """An animated WebP's header, for a canvas of side x side, and no frame."""
    canvas = struct.pack("<I", side - 1)[:3]
    body = b"WEBPVP8X" + struct.pack("<I", 10) + b"\x02\0\0\0" + canvas * 2
    body += b"ANIM" + struct.pack("<I", 6) + bytes(6)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def eps(command_file):
    """PostScript that writes a file, were it run."""
    return (
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n"
        + f"({command_file}) (w) file closefile showpage\n%%EOF\n".encode()
    )


def lossy_avif(seed=0):
    noise = np.random.default_rng(seed).integers(0, 256, (64, 64, 3), np.uint8)
    return encode(Image.fromarray(noise), "AVIF", quality=50)


# Files of at most a few MB; all are refused, and nothing huge is allocated first.
TOO_LARGE = {
    "progressive JPEG, 6.1 GB": claiming_jpeg(30_000, progressive=True),
    "gray JPEG, 3.5 GB": claiming_jpeg(30_000, "L"),
    "gray progressive JPEG, 5.3 GB": claiming_jpeg(30_000, "L", progressive=True),
    "largest JPEG, 16.5 GB": claiming_jpeg(65_500),
    "largest progressive JPEG, out of memory": claiming_jpeg(65_500, progressive=True),
    "CMYK JPEG": claiming_jpeg(30_000, "CMYK", progressive=True),
    "JPEG just above the limit": claiming_jpeg(8_001),
    "16-bit PNG, 2.8 GB": png(12_000, 12_000, 16, 0),
    "PNG of any size": png(2**31 - 1, 2**31 - 1),
    "PNG row of 8 GB": png(2**31 - 1, 1, 8, 6),
    "TIFF, 3.3 GB": gray_tiff(12_000, 12_000),
    "TIFF of any size": gray_tiff(2**32 - 1, 2**32 - 1),
    "BMP": b"BM" + struct.pack("<IIIIiiHH", 100, 0, 54, 40, 65_000, 65_000, 1, 24) + bytes(24),
    "PPM": b"P6 99999 99999 255 ",
    "GIF": gif(65_535),
    "GIF just under Pillow's own limit": gif(13_000, frames=500),
    "GIF frame": wide_frame_gif(),
    "WebP": webp(16_383),
}
# Not larger than allowed by their header; damaged, or more inside than there should be.
DAMAGED = {
    "PNG text": png(4, 4, chunks=[(b"zTXt", b"a\0\0" + zero_bytes_compressed(300))]),
    "many PNG texts": png(4, 4, chunks=[(b"zTXt", b"a\0\0" + zero_bytes_compressed(1))] * 500),
    "PNG profile": png(4, 4, chunks=[(b"iCCP", b"a\0\0" + zero_bytes_compressed(300))]),
    "PNG without rows": png(8_000, 8_000, 16, 6),
    "tile larger than its image": tiled_tiff(16, 60_000),
    "overlapping tags": overlapping_tags(),
    "TIFF strip of 4 GB": gray_tiff(100, 100, t259=(3, [8]), t279=(4, [2**32 - 1])),
    "TIFF without pixels": gray_tiff(8_000, 8_000),
}

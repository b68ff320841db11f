"""Values of each type, stored and read by a client for Python.

Arguments: `libmc`, `pylibmc` or `pymemcache`, the server, and `write`, or `read` and the keys. `read` prints
one object of JSON: the type and the text of each value, or the SHA-256 of one that is very long.
"""

import hashlib
import json
import random
import sys

LONG = "sip:alice@example.com;transport=udp;" * 100
VALUES = {
    "text": "Grüße",
    "bytes": b"\xff\x00\r\n",
    "integer": -42,
    "long": 2147483647,
    "yes": True,
    "no": False,
    "null": None,
    "real": 1.5,
    "list": [1],
    "zipped": LONG,
    "zipped_bytes": LONG.encode(),
}


def client(name, server):
    if name == "libmc":
        import libmc

        return libmc.Client([server], comp_threshold=1000)
    if name == "pylibmc":
        import pylibmc

        return pylibmc.Client([server])
    import pymemcache

    return pymemcache.Client(server, serde=pymemcache.serde.compressed_serde)


def shown(value):
    if isinstance(value, bytes) and len(value) > 1_000_000:
        return ["bytes", hashlib.sha256(value).hexdigest()]
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    return [type(value).__name__, text]


def main(name, server, task, *keys):
    peer = client(name, server)
    if task == "read":
        print(json.dumps({key: shown(peer.get(key)) for key in keys}))
        return
    options = {"min_compress_len": 1000} if name == "pylibmc" else {}
    for key, value in VALUES.items():
        assert peer.set(key, value, **options), key
    if name == "libmc":
        assert peer.set("large", random.Random(1).randbytes(2_500_001))


main(*sys.argv[1:])

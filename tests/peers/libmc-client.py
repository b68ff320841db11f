"""libmc as a peer: sets and gets keys as it is told on standard input.

Arguments: `hash=NAME` and `prefix=TEXT` (both optional), then the servers, `host:port [alias]`.
A line `set KEY VALUE` is answered with `ok`, `get KEY` with `= VALUE` or `-` when there is no
item; anything else begins with `error`. Values go as they are: no pickling, flags 1 as Kamailio's
strings have them.
"""

import sys

import libmc

HASHES = {
    "md5": libmc.MC_HASH_MD5,
    "fnv1_32": libmc.MC_HASH_FNV1_32,
    "fnv1a_32": libmc.MC_HASH_FNV1A_32,
    "crc_32": libmc.MC_HASH_CRC_32,
}
STRING = 1
SECONDS = 600


def client(words):
    settings = dict(word.split("=", 1) for word in words if "=" in word)
    servers = [word for word in words if "=" not in word]
    return libmc.Client(
        servers,
        prefix=settings.get("prefix"),
        hash_fn=HASHES[settings.get("hash", "md5")],
    )


def answer(peer, command, key, value=None):
    if command == "set":
        stored = peer.set_raw(key, value.encode(), SECONDS, STRING)
        return "ok" if stored else f"error {peer.get_last_strerror()}"
    found, _flags = peer.get_raw(key)
    if peer.get_last_error() != libmc.MC_RETURN_OK:
        return f"error {peer.get_last_strerror()}"
    return "-" if found is None else f"= {found.decode()}"


def main():
    sys.stdin.reconfigure(encoding="utf-8")
    sys.stdout.reconfigure(encoding="utf-8")
    peer = client(sys.argv[1:])
    for line in sys.stdin:
        print(answer(peer, *line.split()), flush=True)


main()

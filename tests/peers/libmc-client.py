"""A client with libmc, to compare with: it sets and gets keys as standard input says.

Arguments: `hash=NAME` and `prefix=TEXT` (both optional), then the servers, `host:port [alias]`.
The answer to a line `set KEY VALUE` is `ok`. The answer to `get KEY` is `= VALUE`, or `-` if there
is no item. Any other answer begins with `error`. Values are not pickled and have the flags 1, like
Kamailio's strings.
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

<?php
// The same as values-client.py by PHP's extension memcached. Arguments: the server, and `write`, or `read`
// and the keys.

[, $server, $task] = $argv;
[$host, $port] = explode(":", $server);
$peer = new Memcached();
$peer->addServer($host, (int) $port);
$peer->setOption(Memcached::OPT_COMPRESSION_TYPE, Memcached::COMPRESSION_ZLIB);
$long = str_repeat("sip:alice@example.com;transport=udp;", 100);
if ($task === "read") {
    $shown = [];
    foreach (array_slice($argv, 3) as $key) {
        $value = $peer->get($key);
        $shown[$key] = [gettype($value), (string) $value];
    }
    echo json_encode($shown), "\n";
    exit;
}
$values = [
    "text" => "Grüße",
    "bytes" => "\xff\x00\r\n",
    "integer" => -42,
    "long" => 2147483647,
    "yes" => true,
    "no" => false,
    "null" => null,
    "real" => 1.5,
    "list" => [1],
    "zipped" => $long,
];
foreach ($values as $key => $value) {
    if (!$peer->set($key, $value)) {
        throw new Exception("$key: " . $peer->getResultMessage());
    }
}
// Its usual kind of compression.
$peer->setOption(Memcached::OPT_COMPRESSION_TYPE, Memcached::COMPRESSION_FASTLZ);
$peer->set("fastlz", $long);

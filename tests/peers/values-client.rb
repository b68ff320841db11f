# The same as values-client.py by Dalli. Arguments: the server, and `write`, or `read` and the keys.

require "dalli"
require "json"

server, task, *keys = ARGV
peer = Dalli::Client.new(server, compress: true, compression_min_size: 1000)
if task == "read"
  puts keys.to_h { |key| [key, [peer.get(key).class.name, peer.get(key).dup.force_encoding("UTF-8")]] }.to_json
  exit
end
long = "sip:alice@example.com;transport=udp;" * 100
raw = { "text" => "Grüße", "bytes" => "\xff\x00\r\n".b, "integer" => -42, "zipped" => long }
raw.each { |key, value| peer.set(key, value, 0, raw: true) or raise key }
others = { "yes" => true, "null" => nil, "real" => 1.5, "list" => [1], "zipped_object" => [long] }
others.each { |key, value| peer.set(key, value) or raise key }

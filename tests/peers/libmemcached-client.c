/* A client with libmemcached, to compare with: it sets and gets keys as standard input says.
 *
 * Arguments, in the order in which a program makes the calls: distribution=NAME (as in our
 * parameter), hash=NAME, namespace=TEXT, hash_namespace, then the servers, host:port:weight.
 * The answer to a line "set KEY VALUE" is "ok". The answer to "get KEY" is "= VALUE", or "-" if
 * there is no item. Any other answer begins with "error". Values have the flags 1, like Kamailio's
 * strings. */

#include <libmemcached/memcached.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECONDS 600
#define STRING 1

static memcached_st *client;

static void demand(memcached_return_t result, const char *word)
{
	if (!memcached_failed(result))
		return;
	fprintf(stderr, "%s: %s\n", word, memcached_strerror(client, result));
	exit(1);
}

static memcached_return_t behave(memcached_behavior_t behavior, uint64_t value)
{
	return memcached_behavior_set(client, behavior, value);
}

static memcached_return_t distribute(const char *name)
{
	if (strcmp(name, "ketama") == 0)
		return behave(MEMCACHED_BEHAVIOR_KETAMA_WEIGHTED, 1);
	if (strcmp(name, "ketama_unweighted") == 0)
		return behave(MEMCACHED_BEHAVIOR_KETAMA, 1);
	if (strcmp(name, "modula") == 0)
		return behave(MEMCACHED_BEHAVIOR_DISTRIBUTION, MEMCACHED_DISTRIBUTION_MODULA);
	if (strcmp(name, "spy_weighted") == 0)
		demand(behave(MEMCACHED_BEHAVIOR_KETAMA_WEIGHTED, 1), name);
	else if (strcmp(name, "spy") != 0)
		return MEMCACHED_INVALID_ARGUMENTS;
	return behave(MEMCACHED_BEHAVIOR_DISTRIBUTION, MEMCACHED_DISTRIBUTION_CONSISTENT_KETAMA_SPY);
}

static memcached_return_t hash(const char *name)
{
	static const struct {
		const char *name;
		memcached_hash_t hash;
	} known[] = {
		{"one_at_a_time", MEMCACHED_HASH_DEFAULT}, {"md5", MEMCACHED_HASH_MD5},
		{"crc", MEMCACHED_HASH_CRC}, {"fnv1_64", MEMCACHED_HASH_FNV1_64},
		{"fnv1a_64", MEMCACHED_HASH_FNV1A_64}, {"fnv1_32", MEMCACHED_HASH_FNV1_32},
		{"fnv1a_32", MEMCACHED_HASH_FNV1A_32}, {"jenkins", MEMCACHED_HASH_JENKINS},
		{"murmur", MEMCACHED_HASH_MURMUR}, {"murmur3", MEMCACHED_HASH_MURMUR3},
	};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (strcmp(known[i].name, name) == 0)
			return behave(MEMCACHED_BEHAVIOR_HASH, known[i].hash);
	return MEMCACHED_INVALID_ARGUMENTS;
}

static memcached_return_t server(const char *word)
{
	char host[64];
	unsigned port, weight;
	if (sscanf(word, "%63[^:]:%u:%u", host, &port, &weight) != 3)
		return MEMCACHED_INVALID_ARGUMENTS;
	return memcached_server_add_with_weight(client, host, (in_port_t)port, weight);
}

static memcached_return_t obey(const char *word)
{
	const char *value = strchr(word, '=');
	value = value ? value + 1 : word;
	if (strncmp(word, "distribution=", 13) == 0)
		return distribute(value);
	if (strncmp(word, "hash=", 5) == 0)
		return hash(value);
	if (strncmp(word, "namespace=", 10) == 0)
		return memcached_callback_set(client, MEMCACHED_CALLBACK_NAMESPACE, value);
	if (strcmp(word, "hash_namespace") == 0)
		return behave(MEMCACHED_BEHAVIOR_HASH_WITH_PREFIX_KEY, 1);
	return server(word);
}

static void set(const char *key, const char *value)
{
	memcached_return_t result =
		memcached_set(client, key, strlen(key), value, strlen(value), SECONDS, STRING);
	if (memcached_success(result))
		puts("ok");
	else
		printf("error %s\n", memcached_last_error_message(client));
}

static void get(const char *key)
{
	size_t size;
	uint32_t flags;
	memcached_return_t result;
	char *value = memcached_get(client, key, strlen(key), &size, &flags, &result);
	if (memcached_success(result))
		printf("= %.*s\n", (int)size, value ? value : "");
	else if (result == MEMCACHED_NOTFOUND)
		puts("-");
	else
		printf("error %s\n", memcached_last_error_message(client));
	free(value);
}

int main(int count, char **words)
{
	static char line[4096], key[1024], value[1024];
	client = memcached_create(NULL);
	for (int i = 1; i < count; i++)
		demand(obey(words[i]), words[i]);
	while (fgets(line, sizeof line, stdin)) {
		if (sscanf(line, "set %1023s %1023s", key, value) == 2)
			set(key, value);
		else if (sscanf(line, "get %1023s", key) == 1)
			get(key);
		else
			puts("error not understood");
		fflush(stdout);
	}
	memcached_free(client);
	return 0;
}

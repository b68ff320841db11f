/*
 * kamailio-memcached: the symbols that memcached.so exports. Kamailio's module loader finds them
 * by name.
 *
 * Written by build.rs. Do not edit.
 */

#ifndef KAMAILIO_MEMCACHED_H
#define KAMAILIO_MEMCACHED_H

/**
 * What a module offers: Kamailio's own structure (core/sr_module.h).
 */
struct kamailio_module_exports;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * What the module offers.
 */
extern const struct kamailio_module_exports exports;

/**
 * The string that the loader compares with the core's version.
 */
extern const char * module_version;

/**
 * The string that the loader compares with the core's compile flags.
 */
extern const char * module_flags;

/**
 * The loader calls this after it has accepted the module, and before it sets a parameter.
 *
 * # Safety
 * Only the loader calls this.
 */
int mod_register(char *_path, int *_dlflags, void*, void*);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* KAMAILIO_MEMCACHED_H */

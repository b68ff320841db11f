/*
 * kamailio-memcached: the structures of Kamailio 5.3 to 6.1 on 64-bit machines that the module
 * reads or writes.
 *
 * One layout serves all versions, except for kamailio_pv_value32 (up to 5.6) and
 * kamailio_pv_value64 (from 5.7 on). tests/layout/layout.c checks sizes and offsets.
 *
 * Written by build.rs from src/kamailio/host/layout.rs. Do not edit.
 */

#ifndef KAMAILIO_LAYOUT_H
#define KAMAILIO_LAYOUT_H

#include <stdint.h>

/**
 * A parameter given as string: the callback's value is a `char *`.
 */
#define KAMAILIO_PARAM_STRING 1

/**
 * A parameter given as integer: the callback's value is the integer itself.
 */
#define KAMAILIO_PARAM_INT 2

/**
 * The row has a callback, not a variable.
 */
#define KAMAILIO_PARAM_USE_FUNC 2147483648

/**
 * The value of the core's `route_type` while an event's route is run.
 */
#define KAMAILIO_EVENT_ROUTE 513

/**
 * The name's data is the parser's own.
 */
#define KAMAILIO_PV_NAME_OTHER 2

/**
 * `$null`.
 */
#define KAMAILIO_PV_NULL 1

/**
 * The value has a string.
 */
#define KAMAILIO_PV_STR 4

/**
 * The value has an integer.
 */
#define KAMAILIO_PV_INT 8

/**
 * The value is an integer first.
 */
#define KAMAILIO_PV_TYPE_INT 16

/**
 * The command's reply is a list.
 */
#define KAMAILIO_RPC_RET_ARRAY 1

/**
 * The value is an `int`.
 */
#define KAMAILIO_CFG_INT 1

/**
 * `struct action`: a statement of the script, handed through, never looked into.
 */
typedef struct kamailio_action kamailio_action;

/**
 * `struct sr_kemi_eng`: a KEMI script's engine, handed through, never looked into.
 */
typedef struct kamailio_kemi_engine kamailio_kemi_engine;

/**
 * `struct sip_msg`: handed through, never looked into.
 */
typedef struct kamailio_sip_msg kamailio_sip_msg;

/**
 * `str` (`core/str.h`): a counted string, not NUL-terminated.
 */
typedef struct kamailio_str {
    /**
     * First byte.
     */
    char *s;
    /**
     * Number of bytes.
     */
    int len;
} kamailio_str;

/**
 * `param_export_t`: a row of the parameter table; the last one has no name.
 */
typedef struct kamailio_param_export {
    /**
     * Name.
     */
    const char *name;
    /**
     * `KAMAILIO_PARAM_STRING` or `KAMAILIO_PARAM_INT`, with `KAMAILIO_PARAM_USE_FUNC`.
     */
    uint32_t kind;
    /**
     * The callback.
     */
    int (*callback)(uint32_t kind, void *value);
} kamailio_param_export;

/**
 * `rpc_t` (`core/rpc.h`): how a command reads its arguments and replies. Each returns less than
 * 0 on failure; formats are a letter an argument: `d` int, `u` unsigned, `S` `kamailio_str` pointer,
 * `{` and `[` pointer to the handle of a new structure or list, `*` what follows may be missing.
 */
typedef struct kamailio_rpc {
    /**
     * Replies with an error code and its reason.
     */
    void (*fault)(void*, int code, const char *format, ...);
    const void *_send;
    /**
     * Adds to the reply.
     */
    int (*add)(void*, const char *format, ...);
    /**
     * Reads arguments; returns how many.
     */
    int (*scan)(void*, const char *format, ...);
    const void *_rpl_printf;
    /**
     * Adds members, each a name and a value, to a structure.
     */
    int (*struct_add)(void*, const char *format, ...);
    /**
     * Adds to a list.
     */
    int (*array_add)(void*, const char *format, ...);
    const void *_struct_scan;
    const void *_struct_printf;
    const void *_capabilities;
    const void *_delayed_ctx_new;
    const void *_delayed_ctx_close;
} kamailio_rpc;

/**
 * An RPC command; `context` is handed back to the functions of `kamailio_rpc`.
 */
typedef void (*kamailio_rpc_function)(const struct kamailio_rpc *rpc, void *context);

/**
 * `rpc_export_t` (`core/rpc.h`): a row of the table of RPC commands; the last has no name.
 */
typedef struct kamailio_rpc_export {
    /**
     * Name with the module's in front.
     */
    const char *name;
    /**
     * The command.
     */
    kamailio_rpc_function function;
    /**
     * What it does: two C strings, of which the second may be NULL.
     */
    const char *const (*doc_str)[2];
    /**
     * `KAMAILIO_RPC_RET_ARRAY` or 0.
     */
    uint32_t flags;
} kamailio_rpc_export;

/**
 * `pv_name_t`: a variable's name.
 */
typedef struct kamailio_pv_name {
    /**
     * `KAMAILIO_PV_NAME_OTHER` for names with data of ours.
     */
    int kind;
    /**
     * Frees the name's data.
     */
    void (*nfree)(struct kamailio_pv_name *name);
    /**
     * The data; what follows belongs to other kinds of names.
     */
    void *dname;
    uint64_t _other[2];
} kamailio_pv_name;

/**
 * `pv_param_t`: name and index of a variable.
 */
typedef struct kamailio_pv_param {
    /**
     * The name.
     */
    struct kamailio_pv_name pvn;
    uint64_t _index[2];
} kamailio_pv_param;

/**
 * A variable's getter; `value` is a `kamailio_pv_value32` or `kamailio_pv_value64`, zeroed.
 */
typedef int (*kamailio_pv_getter)(struct kamailio_sip_msg *msg,
                                  struct kamailio_pv_param *param,
                                  void *value);

/**
 * A variable's setter; `value` is NULL, a `kamailio_pv_value32` or a `kamailio_pv_value64`.
 */
typedef int (*kamailio_pv_setter)(struct kamailio_sip_msg *msg,
                                  struct kamailio_pv_param *param,
                                  int op,
                                  void *value);

/**
 * `pv_spec_t`: a parsed variable.
 */
typedef struct kamailio_pv_spec {
    /**
     * Kind of variable.
     */
    int kind;
    /**
     * Its getter.
     */
    kamailio_pv_getter getf;
    /**
     * Its setter.
     */
    kamailio_pv_setter setf;
    /**
     * Name and index.
     */
    struct kamailio_pv_param pvp;
    void *_trans;
} kamailio_pv_spec;

/**
 * `pv_export_t` (`core/pvar.h`): a row of the table of pseudo-variables; the last has no name.
 */
typedef struct kamailio_pv_export {
    /**
     * Name without `$`.
     */
    struct kamailio_str name;
    /**
     * `PVT_OTHER`; its number differs by version, so it is written when the module is loaded.
     */
    int kind;
    /**
     * Reads the variable.
     */
    kamailio_pv_getter getf;
    /**
     * Assigns to it; without one it is read-only.
     */
    kamailio_pv_setter setf;
    /**
     * Parses what stands in parentheses.
     */
    int (*parse_name)(struct kamailio_pv_spec *spec, struct kamailio_str *inner);
    /**
     * Parses an index in brackets, or NULL.
     */
    const void *parse_index;
    /**
     * Called after parsing, or NULL.
     */
    const void *init_param;
    /**
     * Argument of `init_param`.
     */
    int iparam;
} kamailio_pv_export;

/**
 * `struct module_exports` (`core/sr_module.h`): what a module offers.
 */
typedef struct kamailio_module_exports {
    /**
     * Name that `modparam` uses.
     */
    const char *name;
    /**
     * Flags for `dlopen`; 0 = the loader's own.
     */
    uint32_t dlflags;
    /**
     * Script functions, or NULL.
     */
    const void *cmds;
    /**
     * Parameters, or NULL.
     */
    const struct kamailio_param_export *params;
    /**
     * RPC commands, or NULL.
     */
    const struct kamailio_rpc_export *rpc_methods;
    /**
     * Pseudo-variables, or NULL.
     */
    const struct kamailio_pv_export *pv_items;
    /**
     * Called for SIP replies, or NULL.
     */
    const void *response_f;
    /**
     * Called once before the fork; 0 = ok.
     */
    int (*init_mod_f)(void);
    /**
     * Called in every process, or NULL.
     */
    int (*init_child_f)(int);
    /**
     * Called in the main process at shutdown, or NULL.
     */
    void (*destroy_mod_f)(void);
} kamailio_module_exports;

/**
 * `struct route_list` (`core/route.h`): the routes of one kind, by number.
 */
typedef struct kamailio_route_list {
    /**
     * The first statement of each, NULL for a route that is only referred to.
     */
    struct kamailio_action *const *rlist;
    uint64_t _names[3];
} kamailio_route_list;

/**
 * `pv_elem_t`: a piece of a format string, text before a variable.
 */
typedef struct kamailio_pv_elem {
    /**
     * The text.
     */
    struct kamailio_str text;
    /**
     * The variable, or NULL.
     */
    struct kamailio_pv_spec *spec;
    /**
     * The next piece, or NULL.
     */
    struct kamailio_pv_elem *next;
} kamailio_pv_elem;

/**
 * `pv_value_t` up to Kamailio 5.6.
 */
typedef struct kamailio_pv_value32 {
    /**
     * The string.
     */
    struct kamailio_str rs;
    /**
     * The integer.
     */
    int32_t ri;
    /**
     * Which of them holds: any of `KAMAILIO_PV_STR`, `KAMAILIO_PV_INT`, `KAMAILIO_PV_TYPE_INT`,
     * or `KAMAILIO_PV_NULL`.
     */
    int flags;
} kamailio_pv_value32;

/**
 * `pv_value_t` from Kamailio 5.7 on.
 */
typedef struct kamailio_pv_value64 {
    /**
     * The string.
     */
    struct kamailio_str rs;
    /**
     * The integer.
     */
    int64_t ri;
    /**
     * Which of them holds: any of `KAMAILIO_PV_STR`, `KAMAILIO_PV_INT`, `KAMAILIO_PV_TYPE_INT`,
     * or `KAMAILIO_PV_NULL`.
     */
    int flags;
} kamailio_pv_value64;

/**
 * A row of `log_level_info` (`core/dprint.h`).
 */
typedef struct kamailio_log_level_info {
    /**
     * The level's name.
     */
    const char *name;
    /**
     * The level for syslog.
     */
    int syslog_level;
} kamailio_log_level_info;

/**
 * `ksr_logdata_t` (`core/dprint.h`, from 5.4): what a structured log engine gets.
 */
typedef struct kamailio_ksr_log_data {
    /**
     * Syslog level and facility.
     */
    int facility;
    /**
     * Level.
     */
    int level;
    /**
     * The level's name.
     */
    const char *lname;
    /**
     * File name.
     */
    const char *file;
    /**
     * Line in it.
     */
    int line;
    /**
     * Module.
     */
    const char *module;
    /**
     * Function.
     */
    const char *func;
    /**
     * `module [file:line]: `
     */
    const char *locinfo;
    /**
     * 0.
     */
    int pid;
    /**
     * 0.
     */
    int idx;
} kamailio_ksr_log_data;

/**
 * Called after a change.
 */
typedef void (*kamailio_cfg_on_set)(const struct kamailio_str *group,
                                    const struct kamailio_str *name);

/**
 * `cfg_def_t` (`core/cfg/cfg.h`): a row of the table of values that can be changed while running;
 * the last one has no name. The host writes to it.
 */
typedef struct kamailio_cfg_def {
    /**
     * Name.
     */
    const char *name;
    /**
     * `KAMAILIO_CFG_INT`.
     */
    uint32_t kind;
    /**
     * Least value; both 0 = any.
     */
    int min;
    /**
     * Largest value.
     */
    int max;
    /**
     * Asked before a change, or NULL; a value that has it is not shown.
     */
    const void *on_change;
    /**
     * Called in a process once it sees a change, or NULL.
     */
    kamailio_cfg_on_set on_set;
    /**
     * What it is.
     */
    const char *about;
} kamailio_cfg_def;

/**
 * A node of the list of loaded modules (`core/sr_module.h`), as far as it is the same everywhere.
 */
typedef struct kamailio_loaded_module {
    const void *_exports;
    /**
     * What `dlopen` returned for it, NULL for one that is built in.
     */
    void *handle;
} kamailio_loaded_module;

#endif  /* KAMAILIO_LAYOUT_H */

/*
 * kamailio-memcached: the structures of Kamailio 5.3 to 6.1 on 64-bit machines that the module
 * reads or writes.
 *
 * One layout serves all versions, except for kamailio_pv_value32 (up to 5.6) and
 * kamailio_pv_value64 (from 5.7 on). tests/layout/layout.c checks sizes and offsets.
 *
 * Written by build.rs from src/kamailio/host/layout.rs and kemi_layout.rs. Do not edit.
 */

#ifndef KAMAILIO_LAYOUT_H
#define KAMAILIO_LAYOUT_H

#include <stdint.h>

/**
 * The parameter is a string: the callback's value is a `char *`.
 */
#define KAMAILIO_PARAM_STRING 1

/**
 * The parameter is an integer: the callback's value is the integer itself.
 */
#define KAMAILIO_PARAM_INT 2

/**
 * The row has a callback and not the address of a variable.
 */
#define KAMAILIO_PARAM_USE_FUNC 2147483648

/**
 * The value of the core's `route_type` while the route of an event runs.
 */
#define KAMAILIO_EVENT_ROUTE 513

/**
 * The name's data is what its own parser has stored.
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
 * The value counts as an integer, even if it also has a string.
 */
#define KAMAILIO_PV_TYPE_INT 16

/**
 * The string was made for the reader, in the process's own memory; the reader frees it.
 */
#define KAMAILIO_PV_PKG 32

/**
 * The same in shared memory.
 */
#define KAMAILIO_PV_SHM 64

/**
 * The reply of the command is a list.
 */
#define KAMAILIO_RPC_RET_ARRAY 1

/**
 * The value is an `int`.
 */
#define KAMAILIO_CFG_INT 1

/**
 * Every kind of route.
 */
#define KAMAILIO_ANY_ROUTE 4294967295

/**
 * There is no such argument.
 */
#define KAMAILIO_KEMI_NONE 0

/**
 * The value is an `int`.
 */
#define KAMAILIO_KEMI_INT 1

/**
 * The value is a `kamailio_str`.
 */
#define KAMAILIO_KEMI_STR 2

/**
 * `struct action`: a statement of the script. The module only passes its address on.
 */
typedef struct kamailio_action kamailio_action;

/**
 * `struct sr_kemi_eng`: a KEMI script's engine. The module only passes its address on.
 */
typedef struct kamailio_kemi_engine kamailio_kemi_engine;

/**
 * `str` (`core/str.h`): a counted string. It need not end with NUL.
 */
typedef struct kamailio_str {
    /**
     * The first byte.
     */
    char *s;
    /**
     * The number of bytes.
     */
    int len;
} kamailio_str;

/**
 * `struct sip_msg` (`core/parser/msg_parser.h`): a SIP message, of which the module reads what tells it
 * from others.
 */
typedef struct kamailio_sip_msg {
    /**
     * Its number in the process that has received it.
     */
    unsigned int id;
    /**
     * That process.
     */
    int pid;
} kamailio_sip_msg;

/**
 * A function with as many arguments as its row says. It returns less than 0 for false, more for
 * true, and 0 to end the script. The host passes two arguments where there is only one; the second
 * one is NULL.
 */
typedef union kamailio_script_function {
    /**
     * With up to two arguments.
     */
    int (*two)(struct kamailio_sip_msg*, void*, void*);
    /**
     * With three arguments.
     */
    int (*three)(struct kamailio_sip_msg*, void*, void*, void*);
    /**
     * With four arguments.
     */
    int (*four)(struct kamailio_sip_msg*, void*, void*, void*, void*);
    /**
     * With five arguments.
     */
    int (*five)(struct kamailio_sip_msg*, void*, void*, void*, void*, void*);
} kamailio_script_function;

/**
 * Changes an argument. `number` is 1 for the first one. It returns less than 0 on failure.
 */
typedef int (*kamailio_fixup)(void **argument, int number);

/**
 * `cmd_export_t` (`core/sr_module.h`): a row of the table of script functions. A function that can be
 * called with several numbers of arguments has a row for each. The last row has no name.
 */
typedef struct kamailio_cmd_export {
    /**
     * The function's name.
     */
    const char *name;
    /**
     * Runs the function.
     */
    union kamailio_script_function function;
    /**
     * The number of arguments.
     */
    int param_no;
    /**
     * Called for each argument, which is a C string at first. It may put another pointer in its
     * place. It is called at the start for arguments that are constant, otherwise before each call.
     */
    kamailio_fixup fixup;
    /**
     * Called after each call for the arguments that are not constant. It puts the C string back.
     */
    kamailio_fixup free_fixup;
    /**
     * The kinds of routes that may call it: `KAMAILIO_ANY_ROUTE`.
     */
    uint32_t flags;
} kamailio_cmd_export;

/**
 * `param_export_t`: a row of the table of parameters. The last row has no name.
 */
typedef struct kamailio_param_export {
    /**
     * The parameter's name.
     */
    const char *name;
    /**
     * `KAMAILIO_PARAM_STRING` or `KAMAILIO_PARAM_INT`, together with `KAMAILIO_PARAM_USE_FUNC`.
     */
    uint32_t kind;
    /**
     * Called for each `modparam` with that name.
     */
    int (*callback)(uint32_t kind, void *value);
} kamailio_param_export;

/**
 * `rpc_t` (`core/rpc.h`): the functions with which a command reads its arguments and replies. They
 * return less than 0 on failure. A format has one letter for each argument: `d` is an int, `S` a
 * pointer to a `kamailio_str`, `{` and `[` a pointer to the handle of a new structure or list. Behind `*` all
 * arguments are optional.
 */
typedef struct kamailio_rpc {
    /**
     * Replies with an error code and a reason.
     */
    void (*fault)(void*, int code, const char *format, ...);
    const void *_send;
    /**
     * Adds values to the reply.
     */
    int (*add)(void*, const char *format, ...);
    /**
     * Reads arguments, and returns how many it has read.
     */
    int (*scan)(void*, const char *format, ...);
    const void *_rpl_printf;
    /**
     * Adds members to a structure, each a name and a value.
     */
    int (*struct_add)(void*, const char *format, ...);
    /**
     * Adds values to a list.
     */
    int (*array_add)(void*, const char *format, ...);
    const void *_struct_scan;
    const void *_struct_printf;
    /**
     * What it can do besides. Module ctl has no such function.
     */
    const void *capabilities;
    const void *_delayed_ctx_new;
    const void *_delayed_ctx_close;
} kamailio_rpc;

/**
 * An RPC command. It passes `context` to the functions of `kamailio_rpc`.
 */
typedef void (*kamailio_rpc_function)(const struct kamailio_rpc *rpc, void *context);

/**
 * `rpc_export_t` (`core/rpc.h`): a row of the table of RPC commands. The last row has no name.
 */
typedef struct kamailio_rpc_export {
    /**
     * The command's name, which begins with the module's.
     */
    const char *name;
    /**
     * Runs the command.
     */
    kamailio_rpc_function function;
    /**
     * The description: two C strings, of which the second may be NULL.
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
     * `KAMAILIO_PV_NAME_OTHER` for names whose data is the module's own.
     */
    int kind;
    /**
     * Frees the name's data.
     */
    void (*nfree)(struct kamailio_pv_name *name);
    /**
     * The data. The members behind it belong to other kinds of names.
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
 * A variable's getter. `value` is a zeroed `kamailio_pv_value32` or `kamailio_pv_value64`.
 */
typedef int (*kamailio_pv_getter)(struct kamailio_sip_msg *msg,
                                  struct kamailio_pv_param *param,
                                  void *value);

/**
 * A variable's setter. `value` is NULL, a `kamailio_pv_value32` or a `kamailio_pv_value64`.
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
     * The kind of variable.
     */
    int kind;
    /**
     * The variable's getter.
     */
    kamailio_pv_getter getf;
    /**
     * The variable's setter.
     */
    kamailio_pv_setter setf;
    /**
     * The name and the index.
     */
    struct kamailio_pv_param pvp;
    /**
     * What is done with the value that is read, or NULL.
     */
    void *trans;
} kamailio_pv_spec;

/**
 * `pv_export_t` (`core/pvar.h`): a row of the table of pseudo-variables. The last row has no name.
 */
typedef struct kamailio_pv_export {
    /**
     * The name without `$`.
     */
    struct kamailio_str name;
    /**
     * `PVT_OTHER`. Its value depends on the version, so it is written when the module is loaded.
     */
    int kind;
    /**
     * Reads the variable.
     */
    kamailio_pv_getter getf;
    /**
     * Assigns to the variable. A variable without it is read-only.
     */
    kamailio_pv_setter setf;
    /**
     * Parses the name in parentheses.
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
     * The argument of `init_param`.
     */
    int iparam;
} kamailio_pv_export;

/**
 * `struct module_exports` (`core/sr_module.h`): what a module offers.
 */
typedef struct kamailio_module_exports {
    /**
     * The name that `modparam` uses.
     */
    const char *name;
    /**
     * Flags for `dlopen`; 0 = the loader's default.
     */
    uint32_t dlflags;
    /**
     * Script functions, or NULL.
     */
    const struct kamailio_cmd_export *cmds;
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
     * Called once before the fork; returns 0 for success.
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
     * The first statement of each; NULL for a route that the script names but does not define.
     */
    struct kamailio_action *const *rlist;
    uint64_t _names[3];
} kamailio_route_list;

/**
 * `pv_elem_t`: a piece of a format string, which is a text and the variable behind it.
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
     * Which of the two are set: any of `KAMAILIO_PV_STR`, `KAMAILIO_PV_INT`, `KAMAILIO_PV_TYPE_INT`, or
     * `KAMAILIO_PV_NULL`.
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
     * Which of the two are set: any of `KAMAILIO_PV_STR`, `KAMAILIO_PV_INT`, `KAMAILIO_PV_TYPE_INT`, or
     * `KAMAILIO_PV_NULL`.
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
     * The syslog level and facility.
     */
    int facility;
    /**
     * The level.
     */
    int level;
    /**
     * The level's name.
     */
    const char *lname;
    /**
     * The name of the source file.
     */
    const char *file;
    /**
     * The line in it.
     */
    int line;
    /**
     * The module's name.
     */
    const char *module;
    /**
     * The function's name.
     */
    const char *func;
    /**
     * `module [file:line]: `
     */
    const char *locinfo;
    /**
     * Always 0.
     */
    int pid;
    /**
     * Always 0.
     */
    int idx;
} kamailio_ksr_log_data;

/**
 * Called after a change.
 */
typedef void (*kamailio_cfg_on_set)(const struct kamailio_str *group,
                                    const struct kamailio_str *name);

/**
 * `cfg_def_t` (`core/cfg/cfg.h`): a row of the table of values that operators can change while
 * Kamailio runs. The last row has no name. The host writes to the table.
 */
typedef struct kamailio_cfg_def {
    /**
     * The value's name.
     */
    const char *name;
    /**
     * `KAMAILIO_CFG_INT`.
     */
    uint32_t kind;
    /**
     * The smallest value. If both limits are 0, there is no limit.
     */
    int min;
    /**
     * The largest value.
     */
    int max;
    /**
     * Called before a change and may refuse it, or NULL. The host does not show values that have
     * such a function.
     */
    const void *on_change;
    /**
     * Called in each process when it takes over a change, or NULL.
     */
    kamailio_cfg_on_set on_set;
    /**
     * The description.
     */
    const char *about;
} kamailio_cfg_def;

/**
 * `struct sr_module` (`core/sr_module.h`): an element of the list of loaded modules, as far as it
 * is the same in all versions.
 */
typedef struct kamailio_loaded_module {
    const void *_exports;
    /**
     * What `dlopen` returned for the module; NULL for a module that is built in.
     */
    void *handle;
} kamailio_loaded_module;

/**
 * `sr_kemi_t` (`core/kemi.h`): a row of the table of functions. The last row has no names.
 */
typedef struct kamailio_kemi_export {
    /**
     * The module's name. The engines read it as a C string, too.
     */
    struct kamailio_str module;
    /**
     * The function's name; the same.
     */
    struct kamailio_str name;
    /**
     * What it returns: `KAMAILIO_KEMI_INT`, or the family's number for a `kamailio_kemi_value`.
     */
    int returns;
    /**
     * The function. It gets the SIP message, and its arguments: an `int` or a pointer to a `kamailio_str` each.
     */
    const void *function;
    /**
     * `KAMAILIO_KEMI_INT` or `KAMAILIO_KEMI_STR` for each argument, and `KAMAILIO_KEMI_NONE` behind them.
     */
    int takes[6];
} kamailio_kemi_export;

/**
 * The value of a `kamailio_kemi_value`.
 */
typedef union kamailio_kemi_union {
    /**
     * An `int`.
     */
    int n;
    /**
     * A `long`, from 5.7 on.
     */
    int64_t l;
    /**
     * A string.
     */
    struct kamailio_str s;
} kamailio_kemi_union;

/**
 * `sr_kemi_xval_t`: what a function returns that may be of any type.
 */
typedef struct kamailio_kemi_value {
    /**
     * `KAMAILIO_KEMI_INT`, `KAMAILIO_KEMI_STR`, or one of the family's numbers.
     */
    int kind;
    /**
     * The value.
     */
    union kamailio_kemi_union value;
} kamailio_kemi_value;

#endif  /* KAMAILIO_LAYOUT_H */

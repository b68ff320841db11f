/*
 * Compares the layouts of kamailio_layout.h with those of Kamailio's own headers.
 *
 * The figures were taken with sizeof and offsetof from the headers of every release from 5.3.0 to
 * 6.1.4, on x86_64 and aarch64; they are the same in all of them unless it says otherwise here.
 * The comment above each group names the Kamailio header and the structure in it.
 */
#include <stddef.h>
#include <stdio.h>

#include "kamailio_layout.h"

struct figure {
    const char *what;
    size_t here;
    size_t kamailio;
};

#define SIZE(type, figure) {"size of " #type, sizeof(type), figure}
#define AT(type, field, figure) {#type "." #field, offsetof(type, field), figure}

static const struct figure figures[] = {
    /* core/str.h: str */
    SIZE(kamailio_str, 16),
    AT(kamailio_str, s, 0),
    AT(kamailio_str, len, 8),

    /* core/sr_module.h: struct module_exports */
    SIZE(kamailio_module_exports, 80),
    AT(kamailio_module_exports, name, 0),
    AT(kamailio_module_exports, dlflags, 8),
    AT(kamailio_module_exports, cmds, 16),
    AT(kamailio_module_exports, params, 24),
    AT(kamailio_module_exports, rpc_methods, 32),
    AT(kamailio_module_exports, pv_items, 40),
    AT(kamailio_module_exports, response_f, 48),
    AT(kamailio_module_exports, init_mod_f, 56),
    AT(kamailio_module_exports, init_child_f, 64),
    AT(kamailio_module_exports, destroy_mod_f, 72),

    /* core/sr_module.h: param_export_t */
    SIZE(kamailio_param_export, 24),
    AT(kamailio_param_export, name, 0),
    AT(kamailio_param_export, kind, 8),
    AT(kamailio_param_export, callback, 16),

    /* core/sr_module.h: cmd_export_t */
    SIZE(kamailio_cmd_export, 48),
    AT(kamailio_cmd_export, name, 0),
    AT(kamailio_cmd_export, function, 8),
    AT(kamailio_cmd_export, param_no, 16),
    AT(kamailio_cmd_export, fixup, 24),
    AT(kamailio_cmd_export, free_fixup, 32),
    AT(kamailio_cmd_export, flags, 40),

    /* core/sr_module.h: struct sr_module; its first two members */
    SIZE(kamailio_loaded_module, 16),
    AT(kamailio_loaded_module, handle, 8),

    /* core/cfg/cfg.h: cfg_def_t */
    SIZE(kamailio_cfg_def, 48),
    AT(kamailio_cfg_def, name, 0),
    AT(kamailio_cfg_def, kind, 8),
    AT(kamailio_cfg_def, min, 12),
    AT(kamailio_cfg_def, max, 16),
    AT(kamailio_cfg_def, on_change, 24),
    AT(kamailio_cfg_def, on_set, 32),
    AT(kamailio_cfg_def, about, 40),

    /* core/rpc.h: rpc_export_t */
    SIZE(kamailio_rpc_export, 32),
    AT(kamailio_rpc_export, name, 0),
    AT(kamailio_rpc_export, function, 8),
    AT(kamailio_rpc_export, doc_str, 16),
    AT(kamailio_rpc_export, flags, 24),

    /* core/rpc.h: rpc_t */
    SIZE(kamailio_rpc, 96),
    AT(kamailio_rpc, fault, 0),
    AT(kamailio_rpc, add, 16),
    AT(kamailio_rpc, scan, 24),
    AT(kamailio_rpc, struct_add, 40),
    AT(kamailio_rpc, array_add, 48),

    /* core/parser/msg_parser.h: struct sip_msg; its first two members */
    SIZE(kamailio_sip_msg, 8),
    AT(kamailio_sip_msg, id, 0),
    AT(kamailio_sip_msg, pid, 4),

    /* core/route.h: struct route_list */
    SIZE(kamailio_route_list, 32),
    AT(kamailio_route_list, rlist, 0),

    /* core/kemi.h: sr_kemi_t */
    SIZE(kamailio_kemi_export, 72),
    AT(kamailio_kemi_export, module, 0),
    AT(kamailio_kemi_export, name, 16),
    AT(kamailio_kemi_export, returns, 32),
    AT(kamailio_kemi_export, function, 40),
    AT(kamailio_kemi_export, takes, 48),

    /* core/kemi.h: sr_kemi_xval_t */
    SIZE(kamailio_kemi_value, 24),
    AT(kamailio_kemi_value, kind, 0),
    AT(kamailio_kemi_value, value, 8),

    /* core/pvar.h: pv_export_t */
    SIZE(kamailio_pv_export, 72),
    AT(kamailio_pv_export, name, 0),
    AT(kamailio_pv_export, kind, 16),
    AT(kamailio_pv_export, getf, 24),
    AT(kamailio_pv_export, setf, 32),
    AT(kamailio_pv_export, parse_name, 40),
    AT(kamailio_pv_export, parse_index, 48),
    AT(kamailio_pv_export, init_param, 56),
    AT(kamailio_pv_export, iparam, 64),

    /* core/pvar.h: pv_name_t */
    SIZE(kamailio_pv_name, 40),
    AT(kamailio_pv_name, kind, 0),
    AT(kamailio_pv_name, nfree, 8),
    AT(kamailio_pv_name, dname, 16),

    /* core/pvar.h: pv_param_t */
    SIZE(kamailio_pv_param, 56),
    AT(kamailio_pv_param, pvn, 0),

    /* core/pvar.h: pv_spec_t */
    SIZE(kamailio_pv_spec, 88),
    AT(kamailio_pv_spec, kind, 0),
    AT(kamailio_pv_spec, getf, 8),
    AT(kamailio_pv_spec, setf, 16),
    AT(kamailio_pv_spec, pvp, 24),

    /* core/pvar.h: pv_elem_t */
    SIZE(kamailio_pv_elem, 32),
    AT(kamailio_pv_elem, text, 0),
    AT(kamailio_pv_elem, spec, 16),
    AT(kamailio_pv_elem, next, 24),

    /* core/pvar.h: pv_value_t, 5.3 to 5.6 */
    SIZE(kamailio_pv_value32, 24),
    AT(kamailio_pv_value32, rs, 0),
    AT(kamailio_pv_value32, ri, 16),
    AT(kamailio_pv_value32, flags, 20),

    /* core/pvar.h: pv_value_t, 5.7 to 6.1 */
    SIZE(kamailio_pv_value64, 32),
    AT(kamailio_pv_value64, rs, 0),
    AT(kamailio_pv_value64, ri, 16),
    AT(kamailio_pv_value64, flags, 24),

    /* core/dprint.h: struct log_level_info */
    SIZE(kamailio_log_level_info, 16),
    AT(kamailio_log_level_info, name, 0),
    AT(kamailio_log_level_info, syslog_level, 8),

    /* core/dprint.h: ksr_logdata_t, from 5.4 on */
    SIZE(kamailio_ksr_log_data, 64),
    AT(kamailio_ksr_log_data, facility, 0),
    AT(kamailio_ksr_log_data, level, 4),
    AT(kamailio_ksr_log_data, lname, 8),
    AT(kamailio_ksr_log_data, file, 16),
    AT(kamailio_ksr_log_data, line, 24),
    AT(kamailio_ksr_log_data, module, 32),
    AT(kamailio_ksr_log_data, func, 40),
    AT(kamailio_ksr_log_data, locinfo, 48),
    AT(kamailio_ksr_log_data, pid, 56),
    AT(kamailio_ksr_log_data, idx, 60),

    /* core/sr_module.h, core/rpc.h, core/cfg/cfg.h, core/route.h, core/kemi.h, core/pvar.h: macros */
    {"PARAM_STRING", KAMAILIO_PARAM_STRING, 1},
    {"PARAM_INT", KAMAILIO_PARAM_INT, 2},
    {"PARAM_USE_FUNC", KAMAILIO_PARAM_USE_FUNC, 0x80000000},
    {"RET_ARRAY", KAMAILIO_RPC_RET_ARRAY, 1},
    {"CFG_VAR_INT", KAMAILIO_CFG_INT, 1},
    {"EVENT_ROUTE", KAMAILIO_EVENT_ROUTE, 513},
    {"SR_KEMIP_NONE", KAMAILIO_KEMI_NONE, 0},
    {"SR_KEMIP_INT", KAMAILIO_KEMI_INT, 1},
    {"SR_KEMIP_STR", KAMAILIO_KEMI_STR, 2},
    {"PV_NAME_OTHER", KAMAILIO_PV_NAME_OTHER, 2},
    {"PV_VAL_NULL", KAMAILIO_PV_NULL, 1},
    {"PV_VAL_STR", KAMAILIO_PV_STR, 4},
    {"PV_VAL_INT", KAMAILIO_PV_INT, 8},
    {"PV_TYPE_INT", KAMAILIO_PV_TYPE_INT, 16},
};

int main(void)
{
    const size_t count = sizeof figures / sizeof figures[0];
    size_t wrong = 0;

    for (const struct figure *figure = figures; figure < figures + count; figure++) {
        if (figure->here != figure->kamailio) {
            wrong++;
            printf("%s: %zu here, %zu in Kamailio\n", figure->what, figure->here, figure->kamailio);
        }
    }
    printf("%zu of %zu figures differ\n", wrong, count);
    return wrong != 0;
}

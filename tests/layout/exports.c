/*
 * Reads a memcached.so through the generated headers and prints what it exports, one name a line.
 * It finds the symbols by name, as Kamailio's loader does.
 */
#include <dlfcn.h>
#include <stdio.h>

#include "kamailio_layout.h"
#include "kamailio_memcached.h"

int main(int argc, char **argv)
{
    void *module = argc == 2 ? dlopen(argv[1], RTLD_NOW) : NULL;

    if (module == NULL) {
        fprintf(stderr, "usage: exports MODULE: %s\n", argc == 2 ? dlerror() : "no module given");
        return 2;
    }

    const kamailio_module_exports *exports = dlsym(module, "exports");

    if (exports == NULL || dlsym(module, "module_version") == NULL
            || dlsym(module, "module_flags") == NULL || dlsym(module, "mod_register") == NULL) {
        fprintf(stderr, "a symbol of kamailio_memcached.h is not in the module\n");
        return 1;
    }
    printf("module %s\n", exports->name);
    for (const kamailio_param_export *param = exports->params; param->name; param++)
        printf("param %s %u\n", param->name, param->kind & ~(uint32_t)KAMAILIO_PARAM_USE_FUNC);
    for (const kamailio_cmd_export *function = exports->cmds; function->name; function++)
        printf("function %s %d\n", function->name, function->param_no);
    for (const kamailio_pv_export *variable = exports->pv_items; variable->name.s; variable++)
        printf("variable %.*s%s\n", variable->name.len, variable->name.s,
                variable->setf ? "" : " read-only");
    return 0;
}

/* An exit that a test tells what to do, through functions that an exit does not need. */
#include "cftpkie.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PHASES 12

enum manner { NORMAL, CRASH, OVERRUN, HANG };

struct script {
    int32_t code, alert;
    uint32_t form, manner;
    uint8_t *output;
    uint64_t length;
};

static struct script scripts[PHASES];
static uint32_t calls[PHASES];
static pthread_t threads[PHASES];
static volatile int inside;
static int overlaps;

void probe_reset(void)
{
    for (int i = 0; i < PHASES; i++)
        free(scripts[i].output);
    memset(scripts, 0, sizeof scripts);
    memset(calls, 0, sizeof calls);
    for (int i = 1; i < PHASES; i++)
        scripts[i].code = i == PKI_START_TASK ? PKI_HANDLED : PKI_NOT_HANDLED;
}

void probe_set(uint32_t phase, int32_t code, int32_t alert, uint32_t form, uint32_t manner, const uint8_t *output,
               uint64_t length)
{
    struct script *script = &scripts[phase];

    free(script->output);
    script->output = malloc(length + 1);
    memcpy(script->output, output, length);
    script->code = code;
    script->alert = alert;
    script->form = form;
    script->manner = manner;
    script->length = length;
}

uint32_t probe_calls(uint32_t phase)
{
    return calls[phase];
}

/* How many calls came while another was going on, and from how many threads they came. */
int probe_overlaps(void)
{
    return overlaps;
}

int probe_threads(void)
{
    int count = 0;

    for (int i = 1; i < PHASES; i++) {
        int known = !calls[i];

        for (int j = 1; j < i && !known; j++)
            known = calls[j] && pthread_equal(threads[i], threads[j]);
        count += !known;
    }
    return count;
}

int cftpkie(struct pkicom *com)
{
    const struct script *script = &scripts[com->phase];
    int code = script->code;

    overlaps += inside;
    inside = 1;
    calls[com->phase]++;
    threads[com->phase] = pthread_self();
    com->iAlertReason_w = script->alert;
    com->output_form = script->form;
    switch (script->manner) {
    case CRASH:
        *(volatile int *)0 = 1;
        break;
    case OVERRUN:
        com->output.data[com->output.capacity] = 1;
        break;
    case HANG:
        usleep(300000);
        break;
    default:
        break;
    }
    if (com->phase == PKI_HANDSHAKE_DONE) {
        memcpy(com->global_area, script->output ? script->output : (const uint8_t *)"", script->length);
    } else if (com->output.data != NULL && script->output != NULL) {
        com->output.length = script->length;
        if (script->length <= com->output.capacity)
            memcpy(com->output.data, script->output, script->length);
        else if (code == PKI_HANDLED)
            code = PKI_NEED_BUFFER;
    }
    inside = 0;
    return code;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CONTROL_RESULTS_H
#define CONTROL_RESULTS_H

#include "control/json.h"
#include "control/request.h"

/* Replies of spp_vf, spp_mirror and spp_pcap: `{"results":[{"result":"success"}]}`, not padded. */

/* Start a reply without an error; more members may follow before json_finish(). */
void results_start(struct json *w, struct request *r);

void results_success(struct request *r);

/* SPP's messages: `Wrong message format`, `Invalid value (NAME)`, `error occur`. The last log line
 * is added as the reason, which SPP does not have.
 */
void results_wrong_format(struct request *r);
void results_invalid(struct request *r, const char *name);
void results_error(struct request *r);

/* The reply to _get_client_id. */
void results_client_id(struct request *r);

#endif

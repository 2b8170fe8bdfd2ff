/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COMPONENT_PATCHES_H
#define COMPONENT_PATCHES_H

#include "component/component.h"

/* Make the patches of the ports those of the components, and let the workers follow. Return -1
 * after logging the reason; then no patch has changed.
 */
int component_patches_apply(struct app *app, const struct component_set *set);

#endif

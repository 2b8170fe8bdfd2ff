"""Start, check and stop a lab with an SPP service function chain: SPP, its VMs and the patch panel between them.

The modules of this folder are the base layer: errors, units, deadlines, subprocesses, logs. They must not know any
package of sppr.
"""

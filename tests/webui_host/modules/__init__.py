"""The part of AUTOMATIC1111's webui between an extension's script and k-diffusion: jobs, hooks, samplers, infotexts.

For tests of sampling, with the real torch and k-diffusion and a tiny model. Written from the contract that extensions
see; it knows no extension. Page, HTTP interface, X/Y/Z plot and upscalers are tested in the real webui (tests/webui).
"""

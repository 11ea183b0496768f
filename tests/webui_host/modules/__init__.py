"""A small host with the contract of AUTOMATIC1111's webui, for tests: real gradio, torch and k-diffusion, a tiny model.

Written from the contract that its extensions see (hooks and their order, samplers, infotexts, page, API); it knows no
extension. What no test needs is left out.
"""

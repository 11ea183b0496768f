"""What the host changes of diffusers' own schedulers is none of ours."""


def init_hijack(*_):
    pass


hijack_unipc = attach_scale_noise_if_missing = init_hijack

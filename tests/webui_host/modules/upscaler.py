from PIL import Image

from modules import shared


class UpscalerData:
    def __init__(self, name, path, upscaler=None, scale=4, model=None):
        self.name, self.data_path, self.scaler, self.scale, self.model = name, path, upscaler, scale, model


class Upscaler:
    name, filter = "None", None
    """The base class is the upscaler called None."""

    def __init__(self):
        self.scalers = [UpscalerData(self.name, None, self)]

    def upscale(self, img, scale, selected_model=None):
        """To a size that 8 divides."""
        if shared.state.interrupted:
            return img
        return img.resize(
            (int(img.width * scale // 8 * 8), int(img.height * scale // 8 * 8)), self.filter or Image.Resampling.LANCZOS
        )


class UpscalerLanczos(Upscaler):
    name, filter = "Lanczos", Image.Resampling.LANCZOS


class UpscalerNearest(Upscaler):
    name, filter = "Nearest", Image.Resampling.NEAREST


def load_upscalers():
    shared.sd_upscalers = [kind().scalers[0] for kind in (Upscaler, UpscalerLanczos, UpscalerNearest)]

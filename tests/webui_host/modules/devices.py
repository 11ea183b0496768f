import torch

device = torch.device("cpu")


class NansException(Exception):
    pass


def test_for_nans(x, where):
    if torch.isnan(x).all():
        raise NansException(f"A tensor with all NaNs was produced in {where}.")
